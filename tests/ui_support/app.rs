//! The application without its loop: tasks are done at once, a worker's queue runs beside it with a stand-in for the engine thread, and
//! frames go to a buffer.
#![allow(dead_code)] // each user takes what it needs

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use voicetune::config::Workspace;
use voicetune::run::log::Log;
use voicetune::run::protocol::{
    Arm, Command, Ended, Eval, Event, Finish, Generate, Loaded, Message, Outcome, Rival, Sample, Scored, Started, Step, Text, now,
};
use voicetune::run::work::{Effect, News, Outcomes, Work};
use voicetune::run::worker::{Level, Report, Request};
use voicetune::ui::app::App;
use voicetune::ui::keys::Keymap;
use voicetune::ui::message::{Io, Msg};
use voicetune::ui::settings::{Settings, ThemeChoice};
use voicetune::ui::tasks::{Desk, Lane};
use voicetune::ui::theme::{Depth, Theme};

pub struct Driver {
    pub app: App,
    terminal: Terminal<TestBackend>,
    disk: Desk,
    compute: Desk,
    worker: Worker,
    /// What `$EDITOR` makes of a text.
    pub edit: fn(String) -> Result<String, String>,
    /// The interface has ended.
    pub has_left: bool,
    pub copied: Vec<String>,
}

impl Driver {
    pub fn new(folder: &Path, size: (u16, u16)) -> Driver {
        let workspace = Workspace::open(folder).unwrap();
        let settings = Settings { theme: ThemeChoice::Dark, frame_rate: 30, keys: BTreeMap::new() };
        let keymap = Keymap::new(&settings.keys).unwrap();
        let theme = Theme::new(ThemeChoice::Dark, Depth::True);
        let (app, io) = App::new(workspace.clone(), settings, keymap, theme, size);
        let mut driver = Driver {
            app,
            terminal: Terminal::new(TestBackend::new(size.0, size.1)).unwrap(),
            disk: Desk::new(workspace.clone()),
            compute: Desk::new(workspace.clone()),
            worker: Worker { workspace, work: Work::default() },
            edit: Ok,
            has_left: false,
            copied: vec![],
        };
        driver.carry_out(io);
        driver
    }

    /// Passes the message in and does all that it leads to.
    pub fn send(&mut self, msg: Msg) {
        if let Msg::Resize(width, height) = msg {
            self.terminal.backend_mut().resize(width, height);
        }
        let io = self.app.update(msg);
        self.carry_out(io);
    }

    /// Presses keys, named as in the settings and parted by blanks.
    pub fn press(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            self.send(Msg::Key(key.parse().unwrap()));
        }
    }

    pub fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            let name = if c == ' ' { "space".to_owned() } else { c.to_string() };
            self.send(Msg::Key(name.parse().unwrap()));
        }
    }

    pub fn draw(&mut self) {
        let app = &self.app;
        self.terminal.draw(|frame| app.view(frame)).unwrap();
    }

    /// The characters of a frame drawn now.
    pub fn screen(&mut self) -> String {
        self.draw();
        self.terminal.backend().to_string()
    }

    fn carry_out(&mut self, io: Vec<Io>) {
        let mut waiting: VecDeque<Io> = io.into();
        while let Some(io) = waiting.pop_front() {
            let messages = match io {
                Io::Task(task) => {
                    let desk = match task.lane() {
                        Lane::Disk => &mut self.disk,
                        Lane::Compute => &mut self.compute,
                    };
                    vec![Msg::Done(task.run(desk))]
                }
                Io::Worker(request) => self.worker.take(request).into_iter().map(Msg::Worker).collect(),
                Io::Attach => vec![Msg::Worker(self.worker.state())],
                Io::Edit { text, .. } => vec![Msg::Edited((self.edit)(text))],
                Io::Copy(text) => {
                    self.copied.push(text);
                    vec![]
                }
                Io::Quit => {
                    self.has_left = true;
                    vec![]
                }
                Io::Suspend | Io::Redraw => vec![],
            };
            for message in messages {
                waiting.extend(self.app.update(message));
            }
        }
    }
}

/// The worker's queue, without a process around it.
struct Worker {
    workspace: Workspace,
    work: Work,
}

impl Worker {
    fn state(&self) -> Report {
        Report::State(Box::new(self.work.state()))
    }

    /// Carries the request out to its end; returns all that a viewer would be told.
    fn take(&mut self, request: Request) -> Vec<Report> {
        let out = match request {
            Request::Order(order) => self.work.order(order),
            Request::Stop { ticket } => self.work.stop(ticket),
            Request::StopReading => self.work.stop_reading(),
            Request::StopAll => self.work.stop_all(),
        };
        let mut told: Vec<Report> = out.ticket.map(|ticket| Report::Accepted { ticket }).into_iter().collect();
        let mut waiting = VecDeque::from([out]);
        while let Some(Outcomes { effects, news, .. }) = waiting.pop_front() {
            told.push(self.state());
            told.extend(news.into_iter().filter_map(|news| match news {
                News::Sample(drawn) => Some(Report::Sample(drawn)),
                News::Scored { ticket, text } => Some(Report::Scored { ticket, text }),
                News::Training => Some(Report::Logged),
                _ => None,
            }));
            for effect in effects {
                match effect {
                    Effect::Task(task) => {
                        let done = task.run(&self.workspace);
                        waiting.push_back(self.work.on_done(done));
                    }
                    Effect::Engine(command) => {
                        for message in answer(command) {
                            if let Event::Text(text) = &message.event {
                                told.push(Report::Text(text.clone()));
                            }
                            waiting.push_back(self.work.on_message(message));
                        }
                    }
                    Effect::Warn(text) => told.push(Report::Notice { level: Level::Warning, text }),
                    Effect::Fail(text) => told.push(Report::Notice { level: Level::Error, text }),
                }
            }
        }
        told
    }
}

/// What an engine thread would say and log, were it as quick.
fn answer(command: Command) -> Vec<Message> {
    let all = |job, events: Vec<Event>| events.into_iter().map(|event| Message { job, event }).collect();
    let ended = || Event::Ended(Ended { time: now(), outcome: Outcome::Finished, error: None });
    match command {
        Command::Load(load) => all(load.job, vec![Event::Loaded(Loaded { device: "cpu".into(), parameters: 1000, context: 1024 })]),
        Command::Train(train) => {
            let mut events = vec![Event::Started(Started {
                time: now(),
                version: "0.1.0".into(),
                device: "cpu".into(),
                from_step: train.resume_from,
                steps: 4,
                epochs: train.config.epochs,
                examples: [4, 1],
                trainable_parameters: 1000,
            })];
            for step in 1..=4 {
                events.push(Event::Step(Step {
                    step,
                    epoch: step.div_ceil(2),
                    loss: 3.0 / step as f64,
                    tokens: 100,
                    lr: 1e-4,
                    grad_norm: 1.0,
                    ms: 20.0,
                    tokens_per_s: 5000.0,
                    device_bytes: None,
                    pairs: vec!["tier1/a".into()],
                }));
                events.push(Event::Eval(Eval { step, loss: 3.1 - step as f64 / 10.0, tokens: 50 }));
            }
            events.push(ended());
            let mut log = Log::open(&train.run).unwrap();
            events.iter().for_each(|event| log.append(event).unwrap());
            all(train.job, events)
        }
        Command::Generate(generate) => {
            let job = generate.job;
            let mut events = samples(generate);
            events.push(ended());
            all(job, events)
        }
        Command::Score(score) => {
            let places = score.ids.len() - 1;
            let scored = |arm: Arm| {
                let nats = |i: usize| if arm == Arm::Base { (i % 9) as f32 } else { (i % 7) as f32 };
                let rival = |_| Rival { text: " the".into(), logprob: -1.5 };
                let logprobs = (0..places).map(|i| -nats(i)).collect();
                Event::Scored(Scored { arm, step: None, logprobs, rivals: (0..places).map(rival).collect() })
            };
            all(score.job, score.arms.iter().copied().map(scored).chain([ended()]).collect())
        }
        Command::Stop { .. } | Command::Quit => vec![],
    }
}

fn samples(generate: Generate) -> Vec<Event> {
    let prompt = generate.prompt.id;
    let of = |arm: Arm, sample: usize, seed: u64| {
        let text = |text: &str| Event::Text(Text { prompt: prompt.clone(), arm, sample, text: text.into() });
        [
            text("The bus was late. "),
            text("Nobody minded\u{1b}[2J."),
            Event::Sample(Sample {
                prompt: prompt.clone(),
                arm: arm.named("pocket-llama"),
                sample,
                seed,
                step: None,
                ids: vec![1, 2],
                text: "The bus was late. Nobody minded\u{1b}[2J.".into(),
                finish: Finish::Stop,
            }),
        ]
    };
    let rows = generate.arms.iter().flat_map(|&arm| generate.seeds.iter().enumerate().map(move |(n, &seed)| (arm, n, seed)));
    rows.flat_map(|(arm, n, seed)| of(arm, n, seed)).collect()
}
