//! Which files `predict` takes for photos.

use std::fs;

use tempfile::TempDir;

use crate::support::*;

#[test]
fn predict_passes_over_what_is_no_photo_and_reads_nothing_huge() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let mixed = folder.join("mixed");
    fs::create_dir_all(mixed.join("more")).unwrap();
    fs::copy(folder.join("photos/red/1.jpg"), mixed.join("rose.jpg")).unwrap();
    fs::write(mixed.join("notes.txt"), "not a photo").unwrap();
    // Sparse: it takes no room on the disk, but would take 8 GiB of memory.
    fs::File::create(mixed.join("movie.mp4")).unwrap().set_len(8 << 30).unwrap();
    let predict = |photo: &'static str| [&["predict"], &MODEL[..], &[photo]].concat();

    let (predicted, notes) = prints(folder, &predict("mixed"));
    assert_eq!(predicted.lines().count(), 1, "{predicted}");
    holds(&predicted, &["rose.jpg: "]);
    holds(
        &notes,
        &["passed over mixed/notes.txt", "a text file", "passed over mixed/movie.mp4", "mixed/more"],
    );
    fails(folder, &predict("mixed/movie.mp4"), &["movie.mp4: not a JPEG or PNG", "1 of 1 photo"]);
    fails(folder, &predict("photos"), &["holds no photos itself", "photos/blue, photos/red"]);
    fails(folder, &predict("mixed/more"), &["mixed/more holds no photos"]);

    // What begins as a photo is not read wholly either when it is far too long for one.
    let huge = folder.join("huge.jpg");
    fs::copy(folder.join("photos/red/1.jpg"), &huge).unwrap();
    fs::File::options().write(true).open(&huge).unwrap().set_len(8 << 30).unwrap();
    fails(folder, &predict("huge.jpg"), &["huge.jpg: its 8589934592 bytes are over the limit"]);
    // A photo that is cut off is an error, wherever it was found.
    let whole = fs::read(mixed.join("rose.jpg")).unwrap();
    fs::write(mixed.join("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    fails(folder, &predict("mixed"), &["cut.jpg: JPEG is cut off", "1 of 2 photos"]);
    // As is one that says it is 65535 pixels wide and high.
    let frame = whole.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    let mut large = whole;
    large[frame + 5..frame + 9].fill(0xFF);
    fs::write(folder.join("large.jpg"), large).unwrap();
    let errors = text(&run(folder, &predict("large.jpg")).stderr);
    holds(&errors, &["large.jpg: image of 65535x65535 pixels is over the limit", "shrink it"]);
    assert!(!errors.contains("max_pixels"), "a name of the library's: {errors}");
}
