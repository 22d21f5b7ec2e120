//! Room to work in.

use floret_math::buffer::{Aligned, sized};

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

/// Small ones from the allocator, large ones in pages of their own.
#[test]
fn aligned_values_begin_as_zeros_at_a_line_and_grow() {
    let mut values = Aligned::default();
    for len in [0, 1, 100, 7, 1000, 3 << 20, 5 << 20, 10] {
        let before = values.len();
        let slice = values.sized(len);
        assert_eq!((slice.len(), slice.as_ptr() as usize % 64), (len, 0));
        if len > before {
            assert!(slice.iter().all(|value| *value == 0.0));
        }
        slice.fill(1.0);
    }
    assert_eq!(values.len(), 5 << 20);
}
