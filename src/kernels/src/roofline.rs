//! Which of several ways to multiply two matrices is the fastest on a Hopper card, by the two rates that bound it (Williams et al. 2009): a
//! product is as slow as its tensor cores or as the L2 cache that feeds them, whichever takes longer.
//!
//! A library's own order of its algorithms is right for large products. A product whose tiles fill the multiprocessors about once is
//! bound by the L2 cache, and there clusters of blocks that share what they read matter more than full multiprocessors do.

/// What one multiprocessor multiplies and adds, a microsecond.
const MULTIPLIED: f64 = 3.2e6;
/// bf16 or f16 elements that the L2 cache gives, for each of the card's multiprocessors, a microsecond.
const READ: f64 = 27e3;
/// Elements of sums that are written and read again, a microsecond, where several blocks share a tile's depth.
const SUMMED: f64 = 180e3;
/// What every product takes beyond that, and what sums of several blocks do (us).
const START: f64 = 4.2;
const MEETING: f64 = 1.0;
/// A tile that is longer reads too much for each of its products, which the figures above do not show.
const LONGEST: usize = 320;
/// How much faster than the library's own choice another must be by these figures, which are right to about a tenth.
const MARGIN: f64 = 0.13;

/// How a product is divided: tiles of the result, which blocks of a cluster share their reads, and how many blocks share a tile's depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub tile: (usize, usize),
    pub cluster: (usize, usize),
    pub parts: usize,
}

/// Microseconds for a result of `size.0` x `size.1` by a depth of `size.2`.
fn time(way: Way, size: (usize, usize, usize), multiprocessors: usize) -> f64 {
    let (tile, cluster) = (way.tile, way.cluster);
    let across = |length: usize, tile: usize, cluster: usize| length.div_ceil(tile).next_multiple_of(cluster);
    let blocks = across(size.0, tile.0, cluster.0) * across(size.1, tile.1, cluster.1) * way.parts;
    let depth = size.2.div_ceil(way.parts) as f64;
    let multiplied = (blocks.div_ceil(multiprocessors) * tile.0 * tile.1) as f64 * depth;
    let read = blocks as f64 * (tile.0 as f64 / cluster.1 as f64 + tile.1 as f64 / cluster.0 as f64) * depth;
    let summed = if way.parts > 1 { MEETING + (way.parts * size.0 * size.1) as f64 / SUMMED } else { 0.0 };
    START + (multiplied / MULTIPLIED).max(read / (READ * multiprocessors as f64)) + summed
}

/// The fastest of `ways`, of which the first is the library's own choice, and `None` one that is not known.
pub fn fastest(ways: &[Option<Way>], size: (usize, usize, usize), multiprocessors: usize) -> usize {
    let times = ways.iter().enumerate().filter_map(|(i, way)| Some((i, (*way)?)));
    let times = times.filter(|(_, way)| way.tile.0.max(way.tile.1) <= LONGEST).map(|(i, way)| (i, time(way, size, multiprocessors)));
    let Some((best, least)) = times.min_by(|a, b| a.1.total_cmp(&b.1)) else { return 0 };
    let own = ways.first().copied().flatten().map(|way| time(way, size, multiprocessors));
    if own.is_some_and(|own| least < (1.0 - MARGIN) * own) { best } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: (usize, usize, usize), ways: &[(&str, &str, usize)], expected: usize) {
        let pair = |text: &str| text.split_once('x').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
        let ways: Vec<_> =
            ways.iter().map(|&(tile, cluster, parts)| Some(Way { tile: pair(tile)?, cluster: pair(cluster)?, parts })).collect();
        assert_eq!(fastest(&ways, size, 132), expected, "{size:?} {ways:?}");
    }

    #[test]
    fn wide_clusters_win_where_few_tiles_read_much() {
        // GPT-2-XL's `down` at 582 tokens on an H100: 34.1, 36.0, 36.8, 25.5, 26.7, 29.7 and 24.6 us. By these figures the fourth.
        let ways = [
            ("64x120", "2x1", 1),
            ("64x128", "2x1", 1),
            ("128x64", "1x2", 1),
            ("64x152", "4x2", 1),
            ("128x88", "2x4", 1),
            ("80x128", "4x2", 1),
            ("128x80", "2x4", 1),
        ];
        check((1600, 582, 6400), &ways, 3);
    }

    #[test]
    fn more_blocks_share_a_depth_where_few_tiles_are_deep() {
        // The gradient of its input through its head: 242 us in two parts, 163 in five.
        check((1600, 582, 50264), &[("128x120", "1x1", 2), ("128x304", "1x2", 5), ("128x128", "1x1", 2)], 1);
    }

    #[test]
    fn the_library_keeps_its_choice_without_a_clear_reason() {
        // Llama's q, k and v at 2,048 tokens, and a lead that is smaller than the figures are sure of.
        check((6144, 2048, 4144), &[("128x256", "2x1", 1), ("256x128", "2x1", 1)], 0);
        check((4096, 705, 4112), &[("128x184", "2x1", 1), ("128x192", "2x1", 1), ("256x96", "1x2", 1)], 0);
        // A way that is not known, or too long, is never taken, and nothing leads if the first is not known.
        check((1600, 582, 6400), &[("64x120", "2x1", 1), ("?", "", 1), ("448x64", "1x4", 1)], 0);
        check((1600, 582, 6400), &[("?", "", 1), ("128x80", "2x4", 1)], 0);
        check((1600, 582, 6400), &[], 0);
    }
}
