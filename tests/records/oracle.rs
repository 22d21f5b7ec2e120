//! A second implementation of the format, from its description alone: slow, and sharing no code with the
//! crate.

/// CRC32C bit by bit: the reflected Castagnoli polynomial 0x1EDC6F41.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    !crc
}

pub fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A plain file of these records.
pub fn file_of<P: AsRef<[u8]>>(payloads: &[P]) -> Vec<u8> {
    let mut file = Vec::new();
    for payload in payloads.iter().map(P::as_ref) {
        let length = (payload.len() as u64).to_le_bytes();
        file.extend(length);
        file.extend(masked(&length).to_le_bytes());
        file.extend(payload);
        file.extend(masked(payload).to_le_bytes());
    }
    file
}

/// What reading a file must come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Payload { offset: u64, payload: Vec<u8> },
    NotTfRecord,
    BadLength { offset: u64 },
    BadData { offset: u64 },
    Truncated { offset: u64, part: &'static str, wanted: u64, got: u64 },
}

/// Reads a plain file by its definition. Only damaged data does not end it.
pub fn read(file: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let offset = at as u64;
        let rest = &file[at..];
        let cut = |part, wanted: usize, got: usize| Event::Truncated {
            offset,
            part,
            wanted: wanted as u64,
            got: got as u64,
        };
        if rest.len() < 12 {
            events.push(cut("header", 12, rest.len()));
            break;
        }
        if masked(&rest[..8]).to_le_bytes() != rest[8..12] {
            events.push(if at == 0 { Event::NotTfRecord } else { Event::BadLength { offset } });
            break;
        }
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let rest = &rest[12..];
        if rest.len() < length {
            events.push(cut("payload", length, rest.len()));
            break;
        }
        let (payload, rest) = rest.split_at(length);
        if rest.len() < 4 {
            events.push(cut("footer", 4, rest.len()));
            break;
        }
        events.push(if masked(payload).to_le_bytes() == rest[..4] {
            Event::Payload { offset, payload: payload.to_vec() }
        } else {
            Event::BadData { offset }
        });
        at += 12 + length + 4;
    }
    events
}
