// Kernels for MindSpore's Custom node: each example's gradient of a convolution's filter, its norm, or its weighted sum,
// without unfolding the input. float32; groups of 1.
//
// Lanes are output channels: dY of an example is transposed once, the kernel's taps stay in registers, and every
// product is a fused multiply-add with one input value broadcast from memory.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Failure { kOk = 0, kArguments = 1, kTypes = 2, kWindow = 3 };

constexpr int kWidest = 8;  // taps of a row that fit into registers

#if defined(__AVX512F__)
constexpr int kRegisters = 24;
#else
constexpr int kRegisters = 10;
#endif

template <int N>
struct Vec {
  typedef float T __attribute__((vector_size(4 * N)));
};

struct Shape {
  int64_t batch, outputs, oh, ow, inputs, height, width;
  int64_t kh, kw, sh, sw, dh, dw, top, left, bottom, right;
  int64_t Taps() const { return kh * kw; }
  int64_t Size() const { return outputs * inputs * Taps(); }
  int64_t Positions() const { return oh * ow; }
  int64_t PaddedHeight() const { return height + top + bottom; }
  int64_t PaddedWidth() const { return width + left + right; }
  bool Fits() const {
    const int64_t smallest = std::min({kh, kw, sh, sw, dh, dw, oh, ow, batch, outputs, inputs});
    return smallest > 0 && std::min({top, left, bottom, right}) >= 0 && kw <= kWidest &&
           (oh - 1) * sh + (kh - 1) * dh < PaddedHeight() && (ow - 1) * sw + (kw - 1) * dw < PaddedWidth();
  }
};

// ROWS x KW taps of N output channels and one input channel, over all positions of one example.
template <int N, int KW, int ROWS>
void Taps(const float *x, const float *dy, const Shape &s, float *out) {
  typedef typename Vec<N>::T V;
  const int64_t width = s.PaddedWidth(), down = s.dh * width;
  V sums[ROWS][KW] = {};
  for (int64_t y = 0; y < s.oh; ++y) {
    const float *row = x + y * s.sh * width;
    for (int64_t i = 0; i < s.ow; ++i, dy += N) {
      V d;
      memcpy(&d, dy, sizeof d);
      const float *p = row + i * s.sw;
      for (int r = 0; r < ROWS; ++r)
        for (int k = 0; k < KW; ++k) sums[r][k] += d * p[r * down + k * s.dw];
    }
  }
  memcpy(out, sums, sizeof sums);
}

template <int N, int KW, int ROWS>
void RowsAtOnce(const float *x, const float *dy, const Shape &s, float *out, int64_t first) {
  int64_t r = first;
  for (; r + ROWS <= s.kh; r += ROWS) Taps<N, KW, ROWS>(x + r * s.dh * s.PaddedWidth(), dy, s, out + r * KW * N);
  if constexpr (ROWS > 1) {
    if (r < s.kh) RowsAtOnce<N, KW, ROWS - 1>(x, dy, s, out, r);
  }
}

template <int N, int KW>
void Kernel(const float *x, const float *dy, const Shape &s, float *out) {
  constexpr int most = kRegisters / KW < 1 ? 1 : kRegisters / KW > 8 ? 8 : kRegisters / KW;
  RowsAtOnce<N, KW, most>(x, dy, s, out, 0);
}

template <int N>
void AnyWidth(const float *x, const float *dy, const Shape &s, float *out) {
  switch (s.kw) {
    case 1: return Kernel<N, 1>(x, dy, s, out);
    case 2: return Kernel<N, 2>(x, dy, s, out);
    case 3: return Kernel<N, 3>(x, dy, s, out);
    case 4: return Kernel<N, 4>(x, dy, s, out);
    case 5: return Kernel<N, 5>(x, dy, s, out);
    case 6: return Kernel<N, 6>(x, dy, s, out);
    case 7: return Kernel<N, 7>(x, dy, s, out);
    default: return Kernel<N, 8>(x, dy, s, out);
  }
}

// Calls use(output channel, input channel, taps, distance between taps) for every filter of one example's gradient.
template <int N, typename Use>
void Example(const float *dy, const float *x, const Shape &s, std::vector<float> *scratch, Use use) {
  const int64_t positions = s.Positions(), high = s.PaddedHeight(), wide = s.PaddedWidth();
  scratch->resize(positions * N + s.inputs * high * wide + s.Taps() * N);
  float *turned = scratch->data(), *padded = turned + positions * N, *sums = padded + s.inputs * high * wide;
  if (s.top || s.left || s.bottom || s.right) {
    memset(padded, 0, sizeof(float) * s.inputs * high * wide);
    for (int64_t c = 0; c < s.inputs; ++c)
      for (int64_t h = 0; h < s.height; ++h)
        memcpy(padded + (c * high + h + s.top) * wide + s.left, x + (c * s.height + h) * s.width, sizeof(float) * s.width);
    x = padded;
  }
  for (int64_t o = 0; o < s.outputs; o += N) {
    const int64_t lanes = std::min<int64_t>(N, s.outputs - o);
    for (int64_t p = 0; p < positions; ++p)
      for (int64_t j = 0; j < N; ++j) turned[p * N + j] = j < lanes ? dy[(o + j) * positions + p] : 0;
    for (int64_t c = 0; c < s.inputs; ++c) {
      AnyWidth<N>(x + c * high * wide, turned, s, sums);
      for (int64_t j = 0; j < lanes; ++j) use(o + j, c, sums + j, N);
    }
  }
}

template <typename Use>
void AnyLanes(const float *dy, const float *x, const Shape &s, std::vector<float> *scratch, Use use) {
#if defined(__AVX512F__)
  if (s.outputs > 8) return Example<16>(dy, x, s, scratch, use);
#endif
  Example<8>(dy, x, s, scratch, use);
}

// Adds a row's gradient, times a factor, to [co, ci, kh, kw]; or puts it there.
template <bool ADD>
void Row(const float *dy, const float *x, const Shape &s, int64_t b, std::vector<float> *scratch, float factor,
         float *out) {
  const int64_t taps = s.Taps();
  AnyLanes(dy + b * s.outputs * s.Positions(), x + b * s.inputs * s.height * s.width, s, scratch,
           [&](int64_t o, int64_t c, const float *sums, int step) {
             float *to = out + (o * s.inputs + c) * taps;
             for (int64_t k = 0; k < taps; ++k) to[k] = (ADD ? to[k] : 0) + factor * sums[k * step];
           });
}

// The gradient of one example of so many rows.
void Gradient(const float *dy, const float *x, const Shape &s, int64_t example, int64_t rows,
              std::vector<float> *scratch, float *out) {
  Row<false>(dy, x, s, example * rows, scratch, 1.0f, out);
  for (int64_t r = 1; r < rows; ++r) Row<true>(dy, x, s, example * rows + r, scratch, 1.0f, out);
}

// Reads dy [B, co, oh, ow], x [B, ci, H, W] and the window, which are inputs number at, at + 1 and at + 2.
int Read(int at, void **params, int *ndims, int64_t **shapes, const char **dtypes, Shape *s) {
  if (ndims[at] != 4 || ndims[at + 1] != 4 || ndims[at + 2] != 1 || shapes[at + 2][0] != 10) return kArguments;
  if (strcmp(dtypes[at], "float32") || strcmp(dtypes[at + 1], "float32") || strcmp(dtypes[at + 2], "int64"))
    return kTypes;
  const int64_t *y = shapes[at], *x = shapes[at + 1], *w = static_cast<int64_t *>(params[at + 2]);
  *s = {y[0], y[1], y[2], y[3], x[1], x[2], x[3], w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]};
  if (x[0] != s->batch || !s->Fits()) return kWindow;
  return kOk;
}

int64_t Size(const int64_t *shape, int ndim) {
  int64_t n = 1;
  while (ndim-- > 0) n *= *shape++;
  return n;
}

}  // namespace

extern "C" {

// terms(dy, x, window) -> [E, co * ci * kh * kw]: the gradient of each of E examples, which have B / E rows each.
int mindveil_filter_terms(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  Shape s;
  if (nparam != 4) return kArguments;
  if (int code = Read(0, params, ndims, shapes, dtypes, &s)) return code;
  if (strcmp(dtypes[3], "float32")) return kTypes;
  const int64_t examples = ndims[3] == 2 ? shapes[3][0] : 0;
  if (examples < 1 || s.batch % examples || shapes[3][1] != s.Size()) return kArguments;
  auto *dy = static_cast<const float *>(params[0]), *x = static_cast<const float *>(params[1]);
  auto *out = static_cast<float *>(params[3]);
  std::vector<float> scratch;
  for (int64_t e = 0; e < examples; ++e) Gradient(dy, x, s, e, s.batch / examples, &scratch, out + e * s.Size());
  return kOk;
}

// squares(dy, x, window) -> [E, 1]: the squared norm of each example's gradient, of which one at a time is kept.
int mindveil_filter_squares(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  Shape s;
  if (nparam != 4) return kArguments;
  if (int code = Read(0, params, ndims, shapes, dtypes, &s)) return code;
  if (strcmp(dtypes[3], "float32")) return kTypes;
  const int64_t examples = Size(shapes[3], ndims[3]);
  if (examples < 1 || s.batch % examples) return kArguments;
  auto *dy = static_cast<const float *>(params[0]), *x = static_cast<const float *>(params[1]);
  auto *out = static_cast<float *>(params[3]);
  std::vector<float> scratch, gradient(s.Size());
  const int64_t taps = s.Taps();
  for (int64_t e = 0; e < examples; ++e) {
    Gradient(dy, x, s, e, s.batch / examples, &scratch, gradient.data());
    double total = 0;
    for (int64_t first = 0; first < s.Size(); first += taps) {
      float part = 0;
      for (int64_t k = first; k < first + taps; ++k) part += gradient[k] * gradient[k];
      total += part;
    }
    out[e] = static_cast<float>(total);
  }
  return kOk;
}

// weighted(w [E], dy, x, window) -> co * ci * kh * kw values: the sum of each example's gradient times its weight. An
// example of weight 0 adds nothing, whatever it holds.
int mindveil_filter_weighted(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  Shape s;
  if (nparam != 5) return kArguments;
  if (int code = Read(1, params, ndims, shapes, dtypes, &s)) return code;
  if (strcmp(dtypes[0], "float32") || strcmp(dtypes[4], "float32")) return kTypes;
  const int64_t examples = Size(shapes[0], ndims[0]);
  if (examples < 1 || s.batch % examples || Size(shapes[4], ndims[4]) != s.Size()) return kArguments;
  auto *weights = static_cast<const float *>(params[0]);
  auto *dy = static_cast<const float *>(params[1]), *x = static_cast<const float *>(params[2]);
  auto *out = static_cast<float *>(params[4]);
  memset(out, 0, sizeof(float) * s.Size());
  std::vector<float> scratch;
  const int64_t rows = s.batch / examples;
  for (int64_t b = 0; b < s.batch; ++b) {
    const float weight = weights[b / rows];
    if (weight != 0) Row<true>(dy, x, s, b, &scratch, weight, out);
  }
  return kOk;
}
}
