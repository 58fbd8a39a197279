//! What keys, the palette and the mouse can ask for.

/// Where the writer is. A key means what the innermost context says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// Everywhere, unless text is being typed.
    Global,
    /// Anything with a cursor that goes up and down.
    List,
    /// One line of text: a filter, a name, a comment.
    Line,
    /// A question with a few answers.
    Dialog,
    Pairs,
    /// The prose editor.
    Edit,
    /// Choosing where an essay is cut into opening and continuation.
    Split,
    Train,
    /// The values of a training config.
    Form,
    Review,
    /// Scoring arms by the rubric.
    Rate,
    /// Placing the panes one after another.
    Rank,
    /// The list of what was copied and invented.
    Marks,
    /// Writing a prompt of one's own; what is typed belongs to [`Context::Edit`].
    Ask,
    /// A text in shades of surprisal.
    Heat,
    Diff,
    /// The writer's own drafts, to be compared with what she made of them.
    Drafts,
    Runs,
}

impl Context {
    /// Whether an unmodified character is text here, so that no outer context may take it.
    pub fn takes_text(self) -> bool {
        matches!(self, Context::Edit | Context::Line)
    }

    pub fn title(self) -> &'static str {
        match self {
            Context::Global => "Everywhere",
            Context::List => "Lists and text",
            Context::Line => "Typing a line",
            Context::Dialog => "Questions",
            Context::Pairs => "Pairs",
            Context::Edit => "Editing prose",
            Context::Split => "Cutting an opening",
            Context::Train => "Train",
            Context::Form => "Config values",
            Context::Review => "Review",
            Context::Rate => "Scoring",
            Context::Rank => "Ranking",
            Context::Marks => "Copied and invented",
            Context::Ask => "A prompt of your own",
            Context::Heat => "Heat map",
            Context::Diff => "Diff",
            Context::Drafts => "Your own drafts",
            Context::Runs => "Runs",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    // Everywhere.
    ShowPairs,
    ShowTrain,
    ShowReview,
    ShowDiff,
    ShowRuns,
    NextPane,
    PreviousPane,
    Help,
    Palette,
    Save,
    Suspend,
    Redraw,
    NextTheme,
    Quit,

    // Lists and text.
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,

    // Lines and dialogs.
    Accept,
    Cancel,

    // Pairs.
    EditPair,
    PreviousTier,
    NextTier,
    Filter,
    Sort,
    ToggleReady,
    CycleSplit,
    NewPair,
    DuplicatePair,
    DiscardPair,
    MoveTier,
    CutOpening,
    Properties,
    MaskPreview,
    ExternalEditor,
    NextProblem,
    Reload,
    UndoChange,
    RedoChange,

    // Editing prose.
    Leave,
    Undo,
    Redo,
    Copy,
    CutSelection,
    Paste,
    SelectAll,
    Find,
    FindNext,
    FindPrevious,
    NewLine,
    DeleteBack,
    DeleteForward,
    DeleteWordBack,
    DeleteWordForward,
    DeleteToEnd,
    MoveLeft,
    MoveRight,
    MoveUp,
    MoveDown,
    MoveWordLeft,
    MoveWordRight,
    MoveParagraphUp,
    MoveParagraphDown,
    MoveLineStart,
    MoveLineEnd,
    MovePageUp,
    MovePageDown,
    MoveTop,
    MoveBottom,
    SelectLeft,
    SelectRight,
    SelectUp,
    SelectDown,
    SelectWordLeft,
    SelectWordRight,
    SelectLineStart,
    SelectLineEnd,

    // Train.
    StartTraining,
    StopTraining,
    QueueTraining,
    ResumeRun,
    EditConfig,
    Preflight,
    PreviousSample,
    NextSample,

    // Config values.
    ResetValue,
    SaveConfigAs,

    // Review.
    Generate,
    StopGenerating,
    FreePrompt,
    Pick,
    ComparePicks,
    Temperatures,
    HeatMap,
    HeatView,
    HeatText,
    HeatModel,
    PreviousTemperature,
    NextTemperature,
    Blind,
    ScrollTogether,
    Zoom,
    ScoreArms,
    OpenDiff,
    Best,
    Tie,
    AllBad,
    Comment,
    Submit,
    Rank,
    Marks,

    // Ranking.
    Place1,
    Place2,
    Place3,
    Place4,
    Alike,

    // Scoring.
    Score1,
    Score2,
    Score3,
    Score4,
    Score5,

    // Diff.
    NextChange,
    PreviousChange,
    NextArm,
    WritersLane,
    Paragraphs,

    // Runs.
    OpenRun,
    MarkRun,
    CompareRuns,
    RunDetails,
    RunCanaries,
    RunVoice,
}
