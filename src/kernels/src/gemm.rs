//! Matrix products into a given slice, with accumulation: a safe face for the `gemm` crate.

use gemm::Parallelism;

/// A read-only matrix over a slice: element (i, j) is `data[i * row_stride + j * col_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// A matrix with any strides.
    ///
    /// # Panics
    /// If the last element lies outside `data`.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        assert!(last(rows, cols, row_stride, col_stride) < data.len() || rows == 0 || cols == 0, "matrix {rows}x{cols} outside its slice");
        Mat { data, rows, cols, row_stride, col_stride }
    }

    /// Row-major, rows `cols` apart.
    pub fn rows(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols, 1)
    }

    /// The transpose: the same numbers read the other way.
    pub fn t(self) -> Self {
        Mat { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

fn last(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    rows.saturating_sub(1) * row_stride + cols.saturating_sub(1) * col_stride
}

/// What happens to the values that are already in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// `out = scale * a b`
    Replace,
    /// `out += scale * a b`
    Add,
}

/// `out (=|+=) scale * a b` for `a` (m, k), `b` (k, n) and a row-major `out` (m, n) whose rows lie `out_stride` apart.
/// Runs on all threads of the pool if `parallel`, and adds along k in the same order either way.
///
/// # Panics
/// If the shapes do not fit.
pub fn product(out: &mut [f32], out_stride: usize, a: Mat, b: Mat, scale: f32, into: Into, parallel: bool) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert_eq!(k, b.rows, "inner sizes differ");
    if m == 0 || n == 0 {
        return;
    }
    assert!(out_stride >= n && (m - 1) * out_stride + n <= out.len(), "output too small");
    let threads = rayon::current_num_threads();
    // Below this many multiplications a second thread costs more than it brings.
    let parallelism = if parallel && threads > 1 && m * n * k > 64 * 64 * 64 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: `Mat` guarantees that all elements of a and b lie in their slices, the assertion above does so for `out`, and
    // `out` is borrowed mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            into == Into::Add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(m: usize, k: usize, n: usize, transpose_b: bool, into: Into) {
        let a: Vec<f32> = (0..m * k).map(|i| ((i * 7 + 3) % 11) as f32 - 5.0).collect();
        let b: Vec<f32> = (0..k * n).map(|i| ((i * 5 + 1) % 13) as f32 - 6.0).collect();
        let stride = n + 2;
        let mut out = vec![1.0; m * stride];
        let mat_b = if transpose_b { Mat::rows(&b, n, k).t() } else { Mat::rows(&b, k, n) };
        product(&mut out, stride, Mat::rows(&a, m, k), mat_b, 0.5, into, true);
        for i in 0..m {
            for j in 0..n {
                let sum: f32 = (0..k).map(|l| a[i * k + l] * if transpose_b { b[j * k + l] } else { b[l * n + j] }).sum();
                let expected = 0.5 * sum + if into == Into::Add { 1.0 } else { 0.0 };
                assert_eq!(out[i * stride + j], expected, "{m}x{k}x{n} at {i},{j}");
            }
            for pad in n..stride {
                assert_eq!(out[i * stride + pad], 1.0, "written past the row");
            }
        }
    }

    #[test]
    fn small_whole_numbers_are_exact() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 2), (17, 9, 33), (64, 31, 65), (1, 40, 7)] {
            for transpose in [false, true] {
                check(m, k, n, transpose, Into::Replace);
                check(m, k, n, transpose, Into::Add);
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside its slice")]
    fn a_matrix_past_its_slice_is_refused() {
        Mat::strided(&[0.0; 5], 2, 3, 3, 1);
    }
}
