//! Activations with room in their rows for the narrow products of the adapters that read them.

use candle_core::{Result, Tensor};

/// Rows of `width` columns, and behind each the room: (N, width + room). Where there is no room it is a plain matrix.
#[derive(Debug, Clone)]
pub struct Wide {
    all: Tensor,
    width: usize,
}

impl Wide {
    pub fn new(all: Tensor, width: usize) -> Self {
        Wide { all, width }
    }

    /// (N, width + room)
    pub fn all(&self) -> &Tensor {
        &self.all
    }

    /// (N, width), in rows that may lie apart.
    pub fn columns(&self) -> Result<Tensor> {
        self.all.narrow(1, 0, self.width)
    }

    /// (N, room)
    #[cfg(feature = "cuda")]
    pub fn room(&self) -> Result<Tensor> {
        self.all.narrow(1, self.width, self.all.dim(1)? - self.width)
    }

    pub fn width(&self) -> usize {
        self.width
    }
}
