//! The precision argument of the commands that take one.

use clap::ValueEnum;

use crate::config::Precision;

/// What weights are kept and computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    F32,
    Bf16,
    F16,
    Nf4,
}

impl From<Dtype> for Precision {
    fn from(dtype: Dtype) -> Precision {
        match dtype {
            Dtype::F32 => Precision::F32,
            Dtype::Bf16 => Precision::Bf16,
            Dtype::F16 => Precision::F16,
            Dtype::Nf4 => Precision::Nf4,
        }
    }
}
