//! Files of any origin, read within bounds: never more than a stated size, and never from what is no file, such as a pipe that would
//! be waited on for ever.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The most bytes of a config, and of the small files of a model or a run.
pub const CONFIG: u64 = 1 << 20;
/// Of a pair, a journal, a text to be compared: a long novel has 3 MiB.
pub const PROSE: u64 = 16 << 20;
/// Of `tokenizer.json` and the other texts of a model: the largest known have 35 MB.
pub const MODEL_TEXT: u64 = 128 << 20;
/// Of a log, a frozen data set, the outputs of an arm.
pub const RECORDS: u64 = 256 << 20;

/// The whole of a file of at most `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large(length, most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // A file can grow while it is read, and some say that they are empty and are not.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large(bytes.len() as u64, most));
    }
    Ok(bytes)
}

/// As [`read`], of UTF-8 text.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|_| io::Error::new(ErrorKind::InvalidData, "is not UTF-8 text"))
}

/// Opens a regular file for reading.
pub fn open(path: &Path) -> io::Result<File> {
    // Without waiting: opening a pipe would last until someone writes to it.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "is not a regular file"));
    }
    Ok(file)
}

fn too_large(length: u64, most: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("has {} MiB, and at most {} MiB are read", length.div_ceil(1 << 20), most >> 20))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        File::create(&path).unwrap().set_len(10 << 30).unwrap(); // takes no room on the disk
        let error = read(&path, PROSE).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::FileTooLarge, "has 10240 MiB, and at most 16 MiB are read"));
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert_eq!(read(path, PROSE).unwrap_err().to_string(), "is not a regular file", "{}", path.display());
        }
        assert_eq!(read(&dir.path().join("none"), PROSE).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
