//! The log: bytes as they are, and logs that are written here and then damaged.

use super::super::log::{Broken, judge};
use crate::fuzz::{Dice, parts};

/// Bytes of a page, of the log's head and of a frame's.
const PAGE: usize = 512;
const HEAD: usize = 32;
const FRAME: usize = 24 + PAGE;

/// A log; or `written`, and dice for one.
pub fn queue_log(bytes: &[u8]) {
    let [what, dice] = parts(bytes);
    if what == b"written" {
        return damaged(&mut Dice(dice));
    }
    let whole = read(bytes).is_ok();
    // What is cut off at the end was not promised to anybody.
    let cut = bytes.len() / 2;
    assert!(!whole || read(&bytes[..cut]).is_ok());
}

fn read(log: &[u8]) -> Result<(), Broken> {
    judge(log).expect("memory can be read")
}

/// A log of some transactions is whole, however much room there is behind it and however short it is cut.
/// A bit that is another one is found, unless it is in the last transaction.
fn damaged(dice: &mut Dice<'_>) {
    let is_big_endian = dice.once_in(2);
    let count = 1 + dice.below(8);
    let mut log = head(is_big_endian);
    let mut ends = Vec::new();
    for place in 1..=count {
        let ends_here = dice.once_in(3) || place == count;
        let fill = dice.byte();
        frame(&mut log, u32::from(ends_here), fill);
        if ends_here {
            ends.push(place);
        }
    }
    assert_eq!(read(&log), Ok(()));
    let room = [&*log, &[0; 3 * FRAME]].concat();
    assert_eq!(read(&room), Ok(()));
    let cut = usize::from(dice.byte()) * 16;
    assert_eq!(read(&log[..log.len().saturating_sub(cut)]), Ok(()));

    let bit = usize::from(dice.byte()) << 8 | usize::from(dice.byte());
    let bit = bit * 37 % (log.len() * 8);
    log[bit / 8] ^= 1 << (bit % 8);
    let frame = match (bit / 8).checked_sub(HEAD) {
        None => return assert!(read(&log).is_err(), "the head is another"),
        Some(offset) => offset / FRAME,
    };
    // The numbers of a frame say where a transaction ends, and to which log it belongs.
    if (bit / 8 - HEAD) % FRAME < 24 {
        return drop(read(&log));
    }
    let last = ends.iter().rev().nth(1).copied().unwrap_or(0);
    let found = read(&log);
    if frame >= last {
        assert_eq!(found, Ok(()), "nothing is behind the last transaction");
    } else {
        let told = format!("the log is damaged in frame {};", frame + 1);
        let found = found.map_err(|broken| broken.to_string());
        assert!(found.is_err_and(|broken| broken.starts_with(&told)));
    }
}

fn head(is_big_endian: bool) -> Vec<u8> {
    let magic = 0x377f_0682 | u32::from(is_big_endian);
    let numbers = [magic, 3_007_000, PAGE as u32, 1, 7, 9];
    let mut head: Vec<u8> = numbers.into_iter().flat_map(u32::to_be_bytes).collect();
    let sum = sum((0, 0), &head, is_big_endian);
    head.extend([sum.0, sum.1].into_iter().flat_map(u32::to_be_bytes));
    head
}

/// Adds a frame, with the number of pages if it is a transaction's last.
fn frame(log: &mut Vec<u8>, ends: u32, fill: u8) {
    let is_big_endian = log[3] & 1 == 1;
    let number = |at: usize| u32::from_be_bytes(std::array::from_fn(|byte| log[at + byte]));
    let before = match log.len() {
        HEAD => (number(24), number(28)),
        len => (number(len - FRAME + 16), number(len - FRAME + 20)),
    };
    let mut frame: Vec<u8> = [1, ends].into_iter().flat_map(u32::to_be_bytes).collect();
    let page = [fill; PAGE];
    let sum = sum(sum(before, &frame, is_big_endian), &page, is_big_endian);
    let rest = [7, 9, sum.0, sum.1];
    frame.extend(rest.into_iter().flat_map(u32::to_be_bytes));
    log.extend(frame);
    log.extend(page);
}

/// SQLite's sum over words, in pairs.
fn sum((mut first, mut second): (u32, u32), bytes: &[u8], is_big_endian: bool) -> (u32, u32) {
    let word = |bytes: &[u8]| {
        let bytes = std::array::from_fn(|at| bytes[at]);
        match is_big_endian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        }
    };
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    (first, second)
}
