//! Where WebSocket frames begin and end in a byte stream (RFC 6455, 5.2), so that a close can be put between
//! two of them. Nothing else of them is looked at.

const OPCODE: u8 = 0x0f;
const CLOSE: u8 = 0x08;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// Follows one direction of a WebSocket.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: Vec<u8>,
    payload: u64,
    closed: bool,
}

impl Frames {
    /// Takes in what has just passed.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len() as u64);
                self.payload -= skipped;
                bytes = bytes.get(usize::try_from(skipped).unwrap_or(usize::MAX)..).unwrap_or_default();
                continue;
            }
            self.head.push(first);
            bytes = rest;
            if let Some(payload) = payload(&self.head) {
                self.closed |= self.head.first().is_some_and(|first| first & OPCODE == CLOSE);
                self.payload = payload;
                self.head.clear();
            }
        }
    }

    /// Whether a frame may begin here: none is open, and none was the last.
    pub(super) fn may_begin(&self) -> bool {
        self.payload == 0 && self.head.is_empty() && !self.closed
    }
}

/// Length of the payload, once the head is whole.
fn payload(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & MASKED == 0 { 0 } else { 4 };
    let length = match second & LENGTH {
        126 => u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?)),
        127 => u64::from_be_bytes(head.get(2..10)?.try_into().ok()?),
        short => return (head.len() == 2 + mask).then_some(u64::from(short)),
    };
    let size = if second & LENGTH == 126 { 4 } else { 10 };
    (head.len() == size + mask).then_some(length)
}

/// A close frame of a server, with code and reason (at most 123 bytes).
pub(super) fn close(code: u16, reason: &'static str) -> Vec<u8> {
    let length = u8::try_from(2 + reason.len()).unwrap_or(2);
    let mut frame = vec![0x80 | CLOSE, length];
    frame.extend(code.to_be_bytes());
    frame.extend(reason.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, mask: bool) -> Vec<u8> {
        let bit = if mask { MASKED } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(bit | u8::try_from(length).unwrap_or(0)),
            126..65_536 => {
                frame.push(bit | 126);
                frame.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
            }
            _ => {
                frame.push(bit | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x88; length + if mask { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn a_boundary_is_found_however_the_bytes_are_cut() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let whole = [frame(length, false), frame(3, false)].concat();
            for step in [1, 2, 7, 4096] {
                let mut frames = Frames::default();
                let mut passed = 0;
                for piece in whole.chunks(step) {
                    frames.pass(piece);
                    passed += piece.len();
                    let at_boundary = passed == whole.len() || passed == whole.len() - 5;
                    assert_eq!(frames.may_begin(), at_boundary, "{length} in {step}, {passed} passed");
                }
            }
        }
    }

    #[test]
    fn nothing_follows_a_close() {
        let mut frames = Frames::default();
        frames.pass(&close(1000, "done"));
        assert!(!frames.may_begin());
    }

    #[test]
    fn masked_frames_have_four_bytes_more_of_head() {
        // the payload here begins with the mask: the whole of head and payload is passed
        let mut frames = Frames::default();
        frames.pass(&frame(200, true));
        assert!(frames.may_begin());
    }
}
