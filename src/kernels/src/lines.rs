//! How far apart the rows of a matrix lie.

/// Bytes of a line of a GPU's memory.
const LINE: usize = 128;

/// Elements of `size` bytes from one row of `columns` to the next, where each row starts a line. What copies pieces of rows into shared
/// memory, a line each, reads two for every one if they start elsewhere.
pub fn stride(columns: usize, size: usize) -> usize {
    columns.next_multiple_of(LINE / size)
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_start_lines() {
        for (columns, size, expected) in [(4096, 2, 4096), (4144, 2, 4160), (1, 2, 64), (33, 4, 64), (0, 4, 0)] {
            assert_eq!(super::stride(columns, size), expected, "{columns} columns of {size} bytes");
        }
    }
}
