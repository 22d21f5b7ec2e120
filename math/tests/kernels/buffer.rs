//! Room to work in.

use floret_math::buffer::sized;

#[test]
fn buffers_grow_and_begin_at_a_line() {
    let mut buffer = Vec::new();
    for len in [0, 1, 100, 7, 1000] {
        let slice = sized(&mut buffer, len);
        assert_eq!((slice.len(), slice.as_ptr() as usize % 64), (len, 0));
        slice.fill(1.0);
    }
    assert!((1000..1100).contains(&buffer.len()), "{}", buffer.len());
}
