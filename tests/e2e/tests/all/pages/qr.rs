//! Reads the QR code of a recovery kit back out of the page: version 6 at level Q, which a backup key takes (ISO/IEC 18004).

use std::collections::BTreeSet;

/// Modules of a side.
const SIDE: usize = 41;
/// Where the one alignment pattern has its middle.
const ALIGNED: usize = 34;
/// Blocks, and bytes of data in each.
const BLOCKS: (usize, usize) = (4, 19);
/// "UTF-8 follows" and "bytes follow", as the library begins.
const BEGINS: &str = "0111000110100100";

/// The text of a code that is drawn as squares, `M{x} {y}h1v1h-1z` each.
pub(super) fn read(path: &str) -> String {
    let square = |one: &str| {
        let (x, y) = one.split_once(' ').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    let dark: BTreeSet<(usize, usize)> =
        path.split("h1v1h-1z").filter(|one| !one.is_empty()).map(|one| square(&one[1..])).collect();
    let at = |x: usize, y: usize| usize::from(dark.contains(&(x, y)));
    assert_eq!((at(0, 8) << 1 | at(1, 8)) ^ 2, 3, "not level Q");
    let mask = (at(2, 8) << 2 | at(3, 8) << 1 | at(4, 8)) ^ 5;
    let mut bits = Vec::new();
    let mut up = true;
    // two columns at a time, from the right, without the one of the timing pattern
    for right in (0..SIDE).rev().filter(|x| if *x > 6 { x % 2 == 0 } else { x % 2 == 1 }) {
        for step in 0..SIDE {
            let y = if up { SIDE - 1 - step } else { step };
            for x in [right, right - 1] {
                if !is_fixed(x, y) {
                    bits.push(at(x, y) ^ usize::from(flips(mask, y, x)));
                }
            }
        }
        up = !up;
    }
    let bytes: Vec<usize> =
        bits.chunks(8).map(|bits| bits.iter().fold(0, |sum, bit| sum << 1 | bit)).collect();
    let (blocks, length) = BLOCKS;
    let data = (0..blocks).flat_map(|block| (0..length).map(move |at| blocks * at + block));
    let data: String = data.map(|at| format!("{:08b}", bytes[at])).collect();
    let number = |from: usize| u8::from_str_radix(&data[from..from + 8], 2).unwrap();
    assert_eq!(&data[..BEGINS.len()], BEGINS);
    let begins = BEGINS.len() + 8;
    let text = (0..usize::from(number(BEGINS.len()))).map(|at| number(begins + 8 * at)).collect();
    String::from_utf8(text).unwrap()
}

/// Of no data: finders with what is around them, timing, alignment.
fn is_fixed(x: usize, y: usize) -> bool {
    // where one stands of a side: at its beginning, between, at its end
    let zone = |at: usize| usize::from(at >= 9) + usize::from(at >= SIDE - 8);
    let finder = matches!((zone(x), zone(y)), (0, 0) | (2, 0) | (0, 2));
    finder || x == 6 || y == 6 || (x.abs_diff(ALIGNED) < 3 && y.abs_diff(ALIGNED) < 3)
}

fn flips(mask: usize, row: usize, column: usize) -> bool {
    let (sum, product) = (row + column, row * column);
    let left = match mask {
        0 => sum % 2,
        1 => row % 2,
        2 => column % 3,
        3 => sum % 3,
        4 => (row / 2 + column / 3) % 2,
        5 => product % 2 + product % 3,
        6 => (product % 2 + product % 3) % 2,
        _ => (sum % 2 + product % 3) % 2,
    };
    left == 0
}
