//! Training pairs: one YAML file a pair, in four tiers, loaded without ever aborting and saved atomically.

mod atomic;
mod balance;
mod canonical;
mod ids;
mod lint;
mod load;
mod opening;
mod pair;
mod problem;
mod save;
mod spare;
mod unsaved;

pub use atomic::{create_atomically, write_atomically};
pub use balance::{Balance, SourceCount, TierCount};
pub use canonical::to_yaml;
pub use ids::{duplicate, fresh_id};
pub use lint::{Budget, Finding, Rule, findings_of, lint, over_budget};
pub use load::{LoadedPair, from_yaml, load, open, open_all};
pub use opening::{opening, splits};
pub use pair::{Pair, Split, Status, Tier, of_draft, plain};
pub use problem::{Level, Problem};
pub use save::{Conflict, Fingerprint, SaveError, Undo, discard, file_of, move_to_tier, remove, rename, save};
pub use spare::spare_journal;
pub use unsaved::{Journal, Kept, Unsaved, recoverable};
