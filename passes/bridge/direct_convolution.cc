// A kernel for MindSpore's Custom node: 2-D convolution, and the gradient of its input at stride 1. float32, one group.
//
// Lanes are output channels; a run of neighbouring positions stays in registers, and every product is a fused
// multiply-add with one input value broadcast from memory. Each example is padded in scratch memory of its own.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Failure { kOk = 0, kArguments = 1, kTypes = 2, kWindow = 3 };

template <int N>
struct Vec {
  typedef float T __attribute__((vector_size(4 * N)));
};

struct Shape {
  int64_t batch, inputs, height, width, outputs, oh, ow;
  int64_t kh, kw, sh, sw, dh, dw, top, left, bottom, right;
  int64_t Taps() const { return inputs * kh * kw; }
  int64_t Positions() const { return oh * ow; }
  int64_t PaddedHeight() const { return height + top + bottom; }
  int64_t PaddedWidth() const { return width + left + right; }
  bool Fits() const {
    const int64_t smallest = std::min({kh, kw, sh, sw, dh, dw, oh, ow, batch, outputs, inputs});
    return smallest > 0 && std::min({top, left, bottom, right}) >= 0 &&
           (oh - 1) * sh + (kh - 1) * dh < PaddedHeight() && (ow - 1) * sw + (kw - 1) * dw < PaddedWidth();
  }
};

// P neighbouring positions of N output channels.
template <int N, int P>
void Run(const float *x, const float *filter, const Shape &s, float *out) {
  typedef typename Vec<N>::T V;
  const int64_t wide = s.PaddedWidth(), plane = s.PaddedHeight() * wide;
  V sums[P] = {};
  for (int64_t c = 0; c < s.inputs; ++c)
    for (int64_t r = 0; r < s.kh; ++r) {
      const float *row = x + c * plane + r * s.dh * wide;
      for (int64_t k = 0; k < s.kw; ++k, filter += N) {
        V f;
        memcpy(&f, filter, sizeof f);
        const float *p = row + k * s.dw;
        for (int i = 0; i < P; ++i) sums[i] += f * p[i * s.sw];
      }
    }
  memcpy(out, sums, sizeof sums);
}

template <int N, int P>
void Row(const float *x, const float *filter, const Shape &s, float *out, int64_t first) {
  int64_t i = first;
  for (; i + P <= s.ow; i += P) Run<N, P>(x + i * s.sw, filter, s, out + i * N);
  if constexpr (P > 1) {
    if (i < s.ow) Row<N, P / 2>(x, filter, s, out, i);
  }
}

// The filter as [blocks of N outputs][input, kh, kw][N]; turned around and with its channels exchanged if asked.
template <int N>
std::vector<float> Packed(const float *filter, const Shape &s, bool transposed) {
  const int64_t blocks = (s.outputs + N - 1) / N, area = s.kh * s.kw;
  std::vector<float> packed(blocks * s.Taps() * N, 0.0f);
  for (int64_t o = 0; o < s.outputs; ++o)
    for (int64_t c = 0; c < s.inputs; ++c)
      for (int64_t k = 0; k < area; ++k) {
        const float value = transposed ? filter[(c * s.outputs + o) * area + area - 1 - k]
                                       : filter[(o * s.inputs + c) * area + k];
        packed[((o / N) * s.Taps() + c * area + k) * N + o % N] = value;
      }
  return packed;
}

template <int N>
void Convolve(const float *x, const float *filter, const Shape &s, bool transposed, float *y) {
#if defined(__AVX512F__)
  constexpr int most = 16;
#else
  constexpr int most = 8;
#endif
  const std::vector<float> packed = Packed<N>(filter, s, transposed);
  const int64_t high = s.PaddedHeight(), wide = s.PaddedWidth(), positions = s.Positions();
  const bool padded = s.top || s.left || s.bottom || s.right;
  std::vector<float> border(padded ? s.inputs * high * wide : 0, 0.0f), turned(positions * N);
  for (int64_t b = 0; b < s.batch; ++b) {
    const float *image = x + b * s.inputs * s.height * s.width;
    if (padded) {
      for (int64_t c = 0; c < s.inputs; ++c)
        for (int64_t h = 0; h < s.height; ++h)
          memcpy(&border[(c * high + h + s.top) * wide + s.left], image + (c * s.height + h) * s.width,
                 sizeof(float) * s.width);
      image = border.data();
    }
    for (int64_t o = 0; o < s.outputs; o += N) {
      const float *block = packed.data() + o / N * s.Taps() * N;
      for (int64_t r = 0; r < s.oh; ++r)
        Row<N, most>(image + r * s.sh * wide, block, s, turned.data() + r * s.ow * N, 0);
      const int64_t lanes = std::min<int64_t>(N, s.outputs - o);
      for (int64_t j = 0; j < lanes; ++j) {
        float *to = y + (b * s.outputs + o + j) * positions;
        for (int64_t p = 0; p < positions; ++p) to[p] = turned[p * N + j];
      }
    }
  }
}

}  // namespace

extern "C" {

// convolve(x [N, ci, H, W], filter [co, ci, kh, kw], window int64 [11]) -> y [N, co, oh, ow]. The window holds kernel,
// stride, dilation, zeros before, zeros after (of height and width each), and 1 if the filter is to be turned around,
// its channels exchanged: [ci, co, kh, kw].
int mindveil_convolve(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 4 || ndims[0] != 4 || ndims[1] != 4 || ndims[2] != 1 || ndims[3] != 4 || shapes[2][0] != 11)
    return kArguments;
  if (strcmp(dtypes[0], "float32") || strcmp(dtypes[1], "float32") || strcmp(dtypes[2], "int64") ||
      strcmp(dtypes[3], "float32"))
    return kTypes;
  const int64_t *x = shapes[0], *f = shapes[1], *y = shapes[3], *w = static_cast<int64_t *>(params[2]);
  const bool transposed = w[10] != 0;
  const Shape s{x[0], x[1], x[2], x[3], y[1], y[2], y[3], w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]};
  if (y[0] != s.batch || f[transposed ? 1 : 0] != s.outputs || f[transposed ? 0 : 1] != s.inputs || f[2] != s.kh ||
      f[3] != s.kw || !s.Fits())
    return kWindow;
  auto *image = static_cast<const float *>(params[0]), *filter = static_cast<const float *>(params[1]);
  auto *out = static_cast<float *>(params[3]);
#if defined(__AVX512F__)
  if (s.outputs > 8) {
    Convolve<16>(image, filter, s, transposed, out);
    return kOk;
  }
#endif
  Convolve<8>(image, filter, s, transposed, out);
  return kOk;
}
}
