//! How fused ops are held to their plain twins: twice over poisoned memory, the same bits, near what is expected.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Result, Tensor};
use voicetune_kernels::cuda::{normal, precision};

/// Whether a case is to be run: all are, unless `CUDA_CASES` names some by parts of their names, between commas (a sanitizer takes many
/// minutes for each).
pub fn wanted(name: &str) -> bool {
    let cases = std::env::var("CUDA_CASES").unwrap_or_default();
    cases.is_empty() || cases.split(',').any(|part| name.contains(part))
}

/// Those of these types that the device computes in. That bf16 is left out, where the card or the build has none, is said aloud.
pub fn there(device: &Device, types: &[DType]) -> Vec<DType> {
    let refusal = precision::refusal(device).unwrap();
    if let Some(why) = refusal.as_ref().filter(|_| types.contains(&DType::BF16)) {
        println!("no BF16 case is run: {why}");
    }
    types.iter().copied().filter(|&dtype| dtype != DType::BF16 || refusal.is_none()).collect()
}

/// One op's case in one type.
pub struct Case<'a> {
    pub device: Device,
    pub dtype: DType,
    /// The largest deviation so far.
    pub worst: &'a std::cell::Cell<f64>,
}

/// A case's name, and what checks it.
pub type Named = (&'static str, fn(&Case) -> Result<()>);

impl Case<'_> {
    pub fn random(&self, seed: u64, shape: &[usize]) -> Tensor {
        normal::normal(shape, 1.0, seed << 40, self.dtype, &self.device).unwrap()
    }

    /// Runs `op` twice over poisoned memory: the same bits, and near `expected`.
    #[track_caller]
    pub fn check(&self, what: &str, expected: &[Tensor], tolerance: f64, op: impl Fn() -> Result<Vec<Tensor>>) {
        let run = || {
            poison(&self.device);
            op().unwrap().iter().map(list).collect::<Vec<_>>()
        };
        let (got, again) = (run(), run());
        assert_eq!(got.len(), expected.len());
        for (i, ((got, again), expected)) in got.iter().zip(&again).zip(expected).enumerate() {
            let expected = list(expected);
            assert_eq!(got.len(), expected.len(), "{what}, output {i}");
            assert!(got.iter().zip(again).all(|(a, b)| a.to_bits() == b.to_bits()), "{what}, output {i}: other bits the second time");
            let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
            let off = norm(&mut got.iter().zip(&expected).map(|(a, b)| f64::from(a - b)))
                / norm(&mut expected.iter().map(|&x| x.into())).max(1e-6);
            assert!(off <= tolerance, "{what} {:?}, output {i}: off by {off:e}", self.dtype);
            self.worst.set(self.worst.get().max(off));
        }
    }

    pub fn tolerance(&self) -> f64 {
        self.by_type(1e-5, 5e-3, 6e-4)
    }

    /// What holds in f32, bf16 and f16.
    pub fn by_type(&self, f32: f64, bf16: f64, f16: f64) -> f64 {
        match self.dtype {
            DType::F32 => f32,
            DType::BF16 => bf16,
            _ => f16,
        }
    }
}

pub fn list(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

pub fn f32(t: &Tensor) -> Tensor {
    t.to_dtype(DType::F32).unwrap()
}

/// Leaves the memory that the next allocations take full of NaN.
pub fn poison(device: &Device) {
    let small: Vec<Tensor> = (6..24).map(|bits| Tensor::full(f32::NAN, 1 << bits, device).unwrap()).collect();
    device.synchronize().unwrap();
    drop(small);
}
