//! What is on the screen: receives a screenshot, finds the buttons of a toast in it.
//!
//! A toast's window tells nothing of its buttons to other programs, so they are found as a person
//! finds them: the lowest line of the toast, whose words stand far apart where buttons do. It never
//! reads what they say; their order is the order in which the toast was given them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::Trouble;

/// Pixels between two buttons' labels, at least; words of one label stand closer.
const BUTTON_GAP: i32 = 14;
/// Rows without ink between two lines of text, at least.
const LINE_GAP: i32 = 3;
/// Pixels at a toast's edge which are its frame and its round corners.
const FRAME: i32 = 12;
/// How far ink differs from paper, of 255.
const INK: u8 = 90;

/// A part of the screen, in pixels from its top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Upper edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

impl Area {
    /// The middle of it.
    pub fn middle(&self) -> (i32, i32) {
        (self.x + self.width / 2, self.y + self.height / 2)
    }

    /// Reads what `xdotool getwindowgeometry --shell` prints.
    pub(super) fn from_shell(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .and_then(|value| value.trim().parse().ok())
        };
        Some(Self {
            x: field("X")?,
            y: field("Y")?,
            width: field("WIDTH")?,
            height: field("HEIGHT")?,
        })
    }
}

/// The screen in shades of grey.
#[derive(Debug)]
pub(super) struct Picture {
    width: i32,
    height: i32,
    grey: Vec<u8>,
}

impl Picture {
    /// Reads a PNG file of 8-bit colours.
    ///
    /// # Errors
    ///
    /// The file is not such a picture.
    pub(super) fn read(path: &Path) -> Result<Self, Trouble> {
        let broken = |problem: String| Trouble::Picture(problem);
        let file = File::open(path).map_err(|e| broken(e.to_string()))?;
        let decoder = png::Decoder::new(BufReader::new(file));
        let mut reader = decoder.read_info().map_err(|e| broken(e.to_string()))?;
        let size = reader
            .output_buffer_size()
            .ok_or_else(|| broken("it is too large".to_owned()))?;
        let mut bytes = vec![0; size];
        let frame = reader
            .next_frame(&mut bytes)
            .map_err(|e| broken(e.to_string()))?;
        let samples = frame.color_type.samples();
        let colours = if samples < 3 { 1 } else { 3 };
        let grey = bytes[..frame.buffer_size()]
            .chunks_exact(samples)
            .map(|pixel| {
                let sum: u32 = pixel[..colours].iter().map(|c| u32::from(*c)).sum();
                u8::try_from(sum / colours as u32).unwrap_or(u8::MAX)
            })
            .collect();
        let edge = |pixels: u32| i32::try_from(pixels).map_err(|e| broken(e.to_string()));
        Ok(Self {
            width: edge(frame.width)?,
            height: edge(frame.height)?,
            grey,
        })
    }

    /// The labels in a toast's lowest line, from left to right.
    pub(super) fn buttons(&self, toast: &Area) -> Vec<Area> {
        let (left, right) = (toast.x + FRAME, toast.x + toast.width - FRAME);
        let (top, bottom) = (toast.y + FRAME, toast.y + toast.height - FRAME);
        let Some(paper) = self.at(left, (top + bottom) / 2) else {
            return Vec::new();
        };
        let inked = |x, y| self.at(x, y).is_some_and(|grey| grey.abs_diff(paper) > INK);

        let rows = (top..bottom)
            .rev()
            .filter(|y| (left..right).any(|x| inked(x, *y)));
        let Some((top, bottom)) = first_run(rows, LINE_GAP).map(|(low, high)| (high, low)) else {
            return Vec::new();
        };
        let mut columns: Vec<i32> = (left..right)
            .filter(|x| (top..=bottom).any(|y| inked(*x, y)))
            .collect();
        let mut labels = Vec::new();
        while let Some((start, end)) = first_run(columns.iter().copied(), BUTTON_GAP) {
            labels.push(Area {
                x: start,
                y: top,
                width: end - start + 1,
                height: bottom - top + 1,
            });
            columns.retain(|x| *x > end);
        }
        labels
    }

    fn at(&self, x: i32, y: i32) -> Option<u8> {
        if !(0..self.width).contains(&x) || !(0..self.height).contains(&y) {
            return None;
        }
        let place = usize::try_from(y * self.width + x).ok()?;
        self.grey.get(place).copied()
    }
}

/// The first and last of the numbers, up to the first step of more than `gap`.
fn first_run(mut numbers: impl Iterator<Item = i32>, gap: i32) -> Option<(i32, i32)> {
    let first = numbers.next()?;
    let mut last = first;
    for number in numbers {
        if (number - last).abs() > gap {
            break;
        }
        last = number;
    }
    Some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_are_what_stands_apart_in_the_lowest_line() {
        let (width, height) = (200, 100);
        let mut picture = Picture {
            width,
            height,
            grey: vec![220; (width * height) as usize],
        };
        let mut ink = |xs: std::ops::Range<i32>, ys: std::ops::Range<i32>| {
            for y in ys {
                for x in xs.clone() {
                    picture.grey[(y * width + x) as usize] = 40;
                }
            }
        };
        ink(20..180, 20..30);
        // Two words of one label, then another label.
        ink(60..80, 60..68);
        ink(84..100, 60..68);
        ink(130..160, 60..70);
        let toast = Area {
            x: 0,
            y: 0,
            width,
            height,
        };
        let buttons = picture.buttons(&toast);
        assert_eq!(buttons.len(), 2);
        assert_eq!((buttons[0].x, buttons[0].width), (60, 40));
        assert_eq!(buttons[1].middle(), (145, 65));
    }

    #[test]
    fn geometry_is_read() {
        let area = Area::from_shell("WINDOW=5\nX=874\nY=6\nWIDTH=400\nHEIGHT=126\nSCREEN=0\n");
        let expected = Area {
            x: 874,
            y: 6,
            width: 400,
            height: 126,
        };
        assert_eq!(area, Some(expected));
        assert_eq!(Area::from_shell("X=1"), None);
    }
}
