// Gaussian noise added to float32 arrays, from a counter-based generator: group `index` of step `step` under a key is
// always the same numbers, whatever the vector width and the number of threads.
//
// Random words: AES-128 in counter mode where the processor has the instructions, ChaCha12 elsewhere; both are
// cryptographic, so that whoever sees some noise cannot tell the rest. Numbers: Box and Muller 1958. The tail is drawn
// from 64 bits, so that it ends at 9.4 standard deviations: with 32 bits the missing mass of one step of a large model
// would exceed a usual delta. Noise and gradient are added as whole numbers on one grid (Mironov 2012 and Jin et al.
// 2021 show what the low bits of floats give away otherwise).
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gauss {

// ---------------------------------------------------------------- the widest vectors that the compiler may use
#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif
typedef float f32 __attribute__((vector_size(4 * W)));
typedef int32_t i32 __attribute__((vector_size(4 * W)));
typedef uint32_t u32 __attribute__((vector_size(4 * W)));

template <class V> inline V load(const void *p) { V v; memcpy(&v, p, sizeof v); return v; }
template <class V> inline void store(void *p, V v) { memcpy(p, &v, sizeof v); }

#if defined(__AVX512F__)
inline f32 root(f32 x) { return (f32)_mm512_sqrt_ps((__m512)x); }
inline f32 whole(f32 x) { return (f32)_mm512_roundscale_ps((__m512)x, 0); }
inline f32 rest(f32 x, f32 y, f32 p) { return (f32)_mm512_fmsub_ps((__m512)x, (__m512)y, (__m512)p); }
inline bool any(i32 m) { return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0; }
#elif defined(__AVX2__) && defined(__FMA__)
inline f32 root(f32 x) { return (f32)_mm256_sqrt_ps((__m256)x); }
inline f32 whole(f32 x) { return (f32)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline f32 rest(f32 x, f32 y, f32 p) { return (f32)_mm256_fmsub_ps((__m256)x, (__m256)y, (__m256)p); }
inline bool any(i32 m) { return !_mm256_testz_si256((__m256i)m, (__m256i)m); }
#else
inline f32 root(f32 x) { for (int i = 0; i < W; ++i) x[i] = __builtin_sqrtf(x[i]); return x; }
inline f32 whole(f32 x) { for (int i = 0; i < W; ++i) x[i] = __builtin_rintf(x[i]); return x; }
inline f32 rest(f32 x, f32 y, f32 p) { for (int i = 0; i < W; ++i) p[i] = float(double(x[i]) * y[i] - p[i]); return p; }
inline bool any(i32 m) { int32_t r = 0; for (int i = 0; i < W; ++i) r |= m[i]; return r != 0; }
#endif
inline f32 real(u32 x) {  // correctly rounded, also where only int32 converts
#if defined(__AVX512F__)
  return __builtin_convertvector(x, f32);
#else
  return __builtin_convertvector((i32)(x >> 16), f32) * 65536.0f + __builtin_convertvector((i32)(x & 0xffffu), f32);
#endif
}

// ---------------------------------------------------------------- random words, `kGroups` groups of 64 at a time
struct ChaCha12 {  // any machine; 128 bits of security and more
  static constexpr int kGroups = 4;
  uint32_t key[8];
  explicit ChaCha12(const uint64_t k[4]) { memcpy(key, k, sizeof key); }
  void words(uint64_t step, uint64_t index, uint32_t *out) const {
    const uint32_t c[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    for (int l = 0; l < 16; l += W) {
      u32 x[16], y[16];
      for (int i = 0; i < W; ++i) x[12][i] = uint32_t(index << 4) + l + i;
      for (int i = 0; i < 4; ++i) x[i] = u32{} + c[i];
      for (int i = 0; i < 8; ++i) x[4 + i] = u32{} + key[i];
      x[13] = u32{} + uint32_t(index >> 28);
      x[14] = u32{} + uint32_t(step);
      x[15] = u32{} + uint32_t(step >> 32);
      memcpy(y, x, sizeof x);
      auto mix = [&](int a, int b, int d, int n) { y[a] += y[b]; y[d] ^= y[a]; y[d] = y[d] << n | y[d] >> (32 - n); };
      auto quarter = [&](int a, int b, int c, int d) { mix(a, b, d, 16); mix(c, d, b, 12); mix(a, b, d, 8); mix(c, d, b, 7); };
      for (int r = 0; r < 12; r += 2) {
        for (int i = 0; i < 4; ++i) quarter(i, 4 + i, 8 + i, 12 + i);
        for (int i = 0; i < 4; ++i) quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
      }
      for (int i = 0; i < 16; ++i) store(out + 16 * i + l, x[i] + y[i]);
    }
  }
};

#if defined(__AES__)
struct Aes128 {  // counter mode on the processor's own AES instructions; counter block = (step, 16 * index + block)
  static constexpr int kGroups = 1;
  __m128i rk[11];
  template <int I, int C> void expand() {
    __m128i k = rk[I - 1], t = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(k, C), 0xff);
    for (int i = 0; i < 3; ++i) k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
    rk[I] = _mm_xor_si128(k, t);
  }
  explicit Aes128(const uint64_t k[4]) {
    rk[0] = _mm_set_epi64x(k[1], k[0]);
    expand<1, 1>(); expand<2, 2>(); expand<3, 4>(); expand<4, 8>(); expand<5, 16>();
    expand<6, 32>(); expand<7, 64>(); expand<8, 128>(); expand<9, 27>(); expand<10, 54>();
  }
  void words(uint64_t step, uint64_t index, uint32_t *out) const {
#if defined(__VAES__) && defined(__AVX512F__)
    const __m512i base = _mm512_broadcast_i32x4(_mm_set_epi64x(step, index << 4));
    const __m512i four = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0), first = _mm512_broadcast_i32x4(rk[0]);
    __m512i x[4];
    for (int i = 0; i < 4; ++i) x[i] = _mm512_xor_si512(_mm512_add_epi64(_mm512_or_si512(base, four), _mm512_set_epi64(0, 4 * i, 0, 4 * i, 0, 4 * i, 0, 4 * i)), first);
    for (int r = 1; r < 10; ++r)
      for (int i = 0; i < 4; ++i) x[i] = _mm512_aesenc_epi128(x[i], _mm512_broadcast_i32x4(rk[r]));
    for (int i = 0; i < 4; ++i) store(out + 16 * i, _mm512_aesenclast_epi128(x[i], _mm512_broadcast_i32x4(rk[10])));
#else
    for (int h = 0; h < 16; h += 8) {
      __m128i x[8];
      for (int i = 0; i < 8; ++i) x[i] = _mm_xor_si128(_mm_set_epi64x(step, index << 4 | (h + i)), rk[0]);
      for (int r = 1; r < 10; ++r)
        for (int i = 0; i < 8; ++i) x[i] = _mm_aesenc_si128(x[i], rk[r]);
      for (int i = 0; i < 8; ++i) store(out + 4 * (h + i), _mm_aesenclast_si128(x[i], rk[10]));
    }
#endif
  }
};
typedef Aes128 Secure;
#else
typedef ChaCha12 Secure;
#endif

// ---------------------------------------------------------------- words to Gaussians: Box and Muller, polynomials only
// -2 ln((hi + (lo + 1/2) / 2^32) / 2^32) with float32's relative error at both ends; lo is the float lo / 2^64 + 2^-65
inline f32 minus2log(u32 hi, f32 lo) {
  f32 v = real(hi) * 0x1p-32f + lo;
  f32 w = real(~hi) * 0x1p-32f + 0x1p-33f;       // 1 - v, for v near 1
  i32 e = ((i32)v - 0x3f2aaaab) >> 23;            // v = 2^e m, m in [2/3, 4/3)
  f32 f = (f32)((i32)v - (e << 23)) - 1.0f;
  f = e == 0 ? -w : f;
  f32 p = f * -0.12429866f + 0.13433774f;         // ln(1 + f) = f - f^2 / 2 + f^3 p(f)
  p = p * f - 0.12287237f; p = p * f + 0.14116979f; p = p * f - 0.16673398f;
  p = p * f + 0.20003836f; p = p * f - 0.24999943f; p = p * f + 0.33333319f;
  return -2.0f * (f + f * f * (p * f - 0.5f) + __builtin_convertvector(e, f32) * 0.69314718f);
}

// radius, cosine and sine from two vectors of words; `slot` is where the first stood among the words of `index`
template <class G>
inline void polar(const G &g, uint64_t step, uint64_t index, int slot, u32 a, u32 b, f32 &r, f32 &x, f32 &y) {
  f32 lo = f32{} + 0x1p-33f;
  if (__builtin_expect(any(a < 0x10000u), 0)) {   // once in 65,536 words: 32 more bits take the tail from 6.7 to 9.4
    uint32_t t[64 * G::kGroups];
    g.words(step, index | uint64_t(1) << 59, t);
    lo = real(load<u32>(t + slot)) * 0x1p-64f + 0x1p-65f;
  }
  r = root(minus2log(a, lo));
  f32 t = __builtin_convertvector((i32)(b << 2 | 2u), f32) * 0x1p-32f, u = t * t;   // quarter turns, (-1/2, 1/2)
  f32 s = (((u * 1.5820653e-4f - 4.6812664e-3f) * u + 7.969258e-2f) * u - 0.64596409f) * u * t + 1.5707964f * t;
  f32 c = (((u * 9.0362987e-4f - 2.086007e-2f) * u + 0.2536692f) * u - 1.2337005f) * u + 1.0f;
  c = (f32)((u32)c ^ (b & 0x80000000u));          // bit 31: the sign of the cosine; the sine's is t's
  i32 swap = (i32)(b << 1) >> 31;                 // bit 30: which of the two comes first
  x = swap ? s : c;
  y = swap ? c : s;
}

constexpr float kCells = 0x1p20f;                 // grid cells in one sigma

// radius * x in cells, rounded from the exact product: rounded from float32, even cells would get up to half as much again
inline f32 cells(f32 radius, f32 x) {
  f32 s = radius * kCells, p = s * x, k = whole(p);
  return k + whole(p - k + rest(s, x, p));
}

// out = in + sigma z over n floats with the numbers of `index`, `index` + 1, ...; returns the next index.
// With Grid, in and noise are integers times sigma / kCells when they are added, so that the set of values that out can
// take says nothing about `in`; what is rounded after the addition is post-processing.
template <class G, bool Grid>
uint64_t add(const G &g, uint64_t step, uint64_t index, const float *in, float *out, int64_t n, float sigma) {
  constexpr int N = 64 * G::kGroups;
  const float grid = sigma / kCells, inv = Grid ? 1.0f / grid : 1.0f;
  for (int64_t k = 0; k < n; k += N, ++index) {
    alignas(64) uint32_t w[N];
    alignas(64) float edge[N], *z = (float *)w;
    g.words(step, index, w);
    for (int i = 0; i < N; i += 32)
      for (int l = i; l < i + 16; l += W) {
        f32 r, x, y;
        polar(g, step, index, l, load<u32>(w + l), load<u32>(w + l + 16), r, x, y);
        store(z + l, Grid ? cells(r, x) : r * x);
        store(z + l + 16, Grid ? cells(r, y) : r * y);
      }
    const int m = n - k < N ? n - k : N;
    const float *from = in + k;
    float *to = out + k;
    if (m < N) { memcpy(edge, from, 4 * m); memset(edge + m, 0, 4 * (N - m)); from = to = edge; }
    for (int i = 0; i < N; i += W) {
      f32 x = load<f32>(from + i), y = load<f32>(z + i);
      store(to + i, Grid ? (whole(x * inv) + y) * grid : x + sigma * y);
    }
    if (m < N) memcpy(out + k, edge, 4 * m);
  }
  return index;
}

}  // namespace gauss
