//! How likely each arm finds a sequence of tokens, over one copy of the weights where the arms share them.

use anyhow::{Result, bail};

use super::protocol::{Arm, Event, Outcome, Rival, Score, Scored};
use super::slot::Slot;

/// Emits a [`Scored`] for each arm. A pass over the model is not interrupted: being stopped shows between two arms.
pub(super) fn score(
    job: &Score,
    slot: &mut Slot,
    is_stopped: &mut dyn FnMut() -> bool,
    emit: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Outcome> {
    let (tokens, context, step) = (job.ids.len(), slot.model.spec().context(), slot.step);
    if tokens < 2 {
        bail!("a score needs at least two tokens, since the first is only context");
    }
    if tokens > context {
        bail!("{tokens} tokens, and {} has {context} positions: shorten the text", slot.files.name);
    }
    for &arm in &job.arms {
        if is_stopped() {
            return Ok(Outcome::Stopped);
        }
        let model = match arm {
            Arm::Base => slot.base()?,
            Arm::Tuned => slot.tuned()?,
        };
        let scores = model.scores(&job.ids, arm.into())?;
        let rival = |place: &crate::engine::TokenScore| Rival { text: slot.tokenizer.piece(place.rival), logprob: place.rival_logprob };
        let logprobs = scores.iter().map(|place| place.logprob).collect();
        emit(Event::Scored(Scored { arm, step, logprobs, rivals: scores.iter().map(rival).collect() }))?;
    }
    Ok(Outcome::Finished)
}
