//! The stream under the records: plain, GZIP or ZLIB, chosen or detected, read and written.

use std::io::{self, BufRead, BufReader, Cursor, Read, Write};

use flate2::bufread::ZlibDecoder;
use flate2::read::MultiGzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::compression::{Compression, DecompressionFault};
use super::frame;

/// How many of a file's first bytes [`detect`] is given: enough for zlib's first block to show a defect.
const PREFIX_BYTES: u64 = 256;

impl Compression {
    /// Tells the compression of a file from its first bytes.
    ///
    /// A first record whose length has the right CRC makes the file plain, whatever the length's bytes look
    /// like. Without one, GZIP is told by its three fixed bytes; ZLIB, which has only a 2-byte header that
    /// damaged data may show too, by the header and a start that can be decompressed. What is none of these
    /// is left to the record reader as plain.
    fn detect(prefix: &[u8]) -> Compression {
        if frame::begins_record(prefix) {
            Compression::Plain
        } else if prefix.starts_with(&[0x1f, 0x8b, 0x08]) {
            Compression::Gzip
        } else if starts_zlib_stream(prefix) {
            Compression::Zlib
        } else {
            Compression::Plain
        }
    }
}

/// Whether `prefix` begins with a zlib header (deflate, window up to 32 KiB, header a multiple of 31) and
/// whatever follows it decompresses without a fault.
fn starts_zlib_stream(prefix: &[u8]) -> bool {
    let [first, second, ..] = *prefix else { return false };
    let header_fits = first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]) % 31 == 0;
    let mut output = [0; 64];
    header_fits
        && flate2::Decompress::new(true)
            .decompress(prefix, &mut output, flate2::FlushDecompress::None)
            .is_ok()
}

/// A reader whose first bytes were read to look at them, and are given again.
pub(super) type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// Reads the first bytes of `reader` and detects the compression, if it was not chosen.
pub(super) fn detect<R: Read>(
    mut reader: R,
    chosen: Option<Compression>,
) -> io::Result<(Compression, Peeked<R>)> {
    let mut prefix = Vec::new();
    if chosen.is_none() {
        reader.by_ref().take(PREFIX_BYTES).read_to_end(&mut prefix)?;
    }
    let compression = chosen.unwrap_or_else(|| Compression::detect(&prefix));
    Ok((compression, Cursor::new(prefix).chain(reader)))
}

/// The uncompressed bytes of a stream.
///
/// A fault of the compressed data is an `io::Error` that holds a [`DecompressionFault`]; other errors are the
/// reader's own.
#[derive(Debug)]
pub(super) enum Decoder<R> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Zlib(Box<ZlibDecoder<BufReader<R>>>),
}

impl<R: Read> Decoder<R> {
    pub fn new(reader: R, compression: Compression) -> Self {
        match compression {
            Compression::Plain => Decoder::Plain(reader),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(reader))),
            Compression::Zlib => Decoder::Zlib(Box::new(ZlibDecoder::new(BufReader::new(reader)))),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Plain(reader) => reader.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer).map_err(|error| fault(Compression::Gzip, error)),
            Decoder::Zlib(decoder) => {
                read_zlib(decoder, buffer).map_err(|error| fault(Compression::Zlib, error))
            }
        }
    }
}

/// Reads from a ZLIB stream that must end where the file does: whatever followed it would be lost in silence.
fn read_zlib<R: BufRead>(decoder: &mut ZlibDecoder<R>, buffer: &mut [u8]) -> io::Result<usize> {
    let read = decoder.read(buffer)?;
    if read == 0 && !buffer.is_empty() && !decoder.get_mut().fill_buf()?.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes follow the end of the stream"));
    }
    Ok(read)
}

/// Tells the decoder's complaints about the data, which have these kinds, from failures to read it.
fn fault(format: Compression, source: io::Error) -> io::Error {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match source.kind() {
        InvalidData | InvalidInput | UnexpectedEof => {
            io::Error::new(InvalidData, DecompressionFault { format, source })
        }
        _ => source,
    }
}

/// Compresses what is written to it, at zlib's default level (6) as TensorFlow does.
#[derive(Debug)]
pub(super) enum Encoder<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zlib(ZlibEncoder<W>),
}

impl<W: Write> Encoder<W> {
    pub fn new(writer: W, compression: Compression) -> Self {
        let level = flate2::Compression::default();
        match compression {
            Compression::Plain => Encoder::Plain(writer),
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(writer, level)),
            Compression::Zlib => Encoder::Zlib(ZlibEncoder::new(writer, level)),
        }
    }

    /// Ends the stream and gives the writer back, not flushed.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Encoder::Plain(writer) => Ok(writer),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zlib(encoder) => encoder.finish(),
        }
    }

    /// The writer under the encoder.
    pub fn get_ref(&self) -> &W {
        match self {
            Encoder::Plain(writer) => writer,
            Encoder::Gzip(encoder) => encoder.get_ref(),
            Encoder::Zlib(encoder) => encoder.get_ref(),
        }
    }

    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Plain(writer) => writer,
            Encoder::Gzip(encoder) => encoder,
            Encoder::Zlib(encoder) => encoder,
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.as_write().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.as_write().flush()
    }
}
