// Kernels for MindSpore's Custom node that do in one pass over memory what clipping needs of a tensor [.., B, ..]:
// sums of squares, sums over an axis, and products with one weight for each example. Stock operations need two or three
// passes, and some of them 10 ns a number. All are float32; a wrong argument returns a code, and MindSpore raises.
#include <cstdint>
#include <cstring>

namespace {

enum Failure { kOk = 0, kArguments = 1, kTypes = 2 };

constexpr int kLanes = 32;       // partial sums: enough to hide the latency of an addition
constexpr int64_t kChunk = 2048;  // values that are added in single precision

int64_t Size(const int64_t *shape, int ndim) {
  int64_t n = 1;
  while (ndim-- > 0) n *= *shape++;
  return n;
}

bool Floats(int nparam, const char **dtypes) {
  for (int i = 0; i < nparam; ++i)
    if (strcmp(dtypes[i], "float32")) return false;
  return true;
}

// The value, or 0 if it is infinite or not a number.
inline float Finite(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (bits & 0x7f800000u) == 0x7f800000u ? 0.0f : x;
}

// The sum of map(x) over n values. Chunks are added in double precision, so that no sum is off by more than 1e-5.
template <typename Map>
float Total(const float *x, int64_t n, Map map) {
  double total = 0;
  for (int64_t first = 0; first < n; first += kChunk) {
    const float *chunk = x + first;
    const int64_t size = n - first < kChunk ? n - first : kChunk;
    float lanes[kLanes] = {};
    int64_t k = 0;
    for (; k + kLanes <= size; k += kLanes)
      for (int j = 0; j < kLanes; ++j) lanes[j] += map(chunk[k + j]);
    for (int j = 0; k < size; ++k, ++j) lanes[j] += map(chunk[k]);
    for (int width = kLanes / 2; width > 0; width /= 2)
      for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
    total += lanes[0];
  }
  return static_cast<float>(total);
}

}  // namespace

extern "C" {

// squares(x [B, n]) -> [B, 1]: the sum of squares of each row.
int mindveil_squares(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 2 || ndims[0] != 2 || Size(shapes[1], ndims[1]) != shapes[0][0]) return kArguments;
  if (!Floats(nparam, dtypes)) return kTypes;
  const int64_t rows = shapes[0][0], n = shapes[0][1];
  auto *x = static_cast<const float *>(params[0]);
  auto *out = static_cast<float *>(params[1]);
  for (int64_t b = 0; b < rows; ++b) out[b] = Total(x + b * n, n, [](float v) { return v * v; });
  return kOk;
}

// sums(x [a, m, c]) -> a * c values: the sum over the middle axis.
int mindveil_sums(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 2 || ndims[0] != 3) return kArguments;
  if (!Floats(nparam, dtypes)) return kTypes;
  const int64_t a = shapes[0][0], m = shapes[0][1], c = shapes[0][2];
  if (Size(shapes[1], ndims[1]) != a * c) return kArguments;
  auto *x = static_cast<const float *>(params[0]);
  auto *out = static_cast<float *>(params[1]);
  for (int64_t i = 0; i < a; ++i, x += m * c, out += c) {
    if (c == 1) {
      *out = Total(x, m, [](float v) { return v; });
      continue;
    }
    memset(out, 0, c * sizeof(float));
    for (int64_t k = 0; k < m; ++k)
      for (int64_t j = 0; j < c; ++j) out[j] += x[k * c + j];
  }
  return kOk;
}

// scaled(x [a, B, c], w [B]) -> x times the weight of its example, 0 where that is not finite.
int mindveil_scaled(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 3 || ndims[0] != 3 || Size(shapes[1], ndims[1]) != shapes[0][1]) return kArguments;
  if (!Floats(nparam, dtypes)) return kTypes;
  const int64_t a = shapes[0][0], rows = shapes[0][1], c = shapes[0][2];
  if (Size(shapes[2], ndims[2]) != a * rows * c) return kArguments;
  auto *x = static_cast<const float *>(params[0]);
  auto *w = static_cast<const float *>(params[1]);
  auto *out = static_cast<float *>(params[2]);
  for (int64_t i = 0; i < a; ++i)
    for (int64_t b = 0; b < rows; ++b, x += c, out += c) {
      const float weight = w[b];
      for (int64_t j = 0; j < c; ++j) out[j] = Finite(x[j] * weight);
    }
  return kOk;
}

// finite(x) -> x, 0 where it is not finite.
int mindveil_finite(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 2) return kArguments;
  if (!Floats(nparam, dtypes)) return kTypes;
  const int64_t n = Size(shapes[0], ndims[0]);
  if (Size(shapes[1], ndims[1]) != n) return kArguments;
  auto *x = static_cast<const float *>(params[0]);
  auto *out = static_cast<float *>(params[1]);
  for (int64_t k = 0; k < n; ++k) out[k] = Finite(x[k]);
  return kOk;
}

// weighted(w [B], x [B, n]) -> [1, n]: sum_b w_b finite(x_b). Blocks of columns, so that the sums stay in the cache.
int mindveil_weighted(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 3 || ndims[1] != 2 || Size(shapes[0], ndims[0]) != shapes[1][0]) return kArguments;
  if (!Floats(nparam, dtypes)) return kTypes;
  const int64_t rows = shapes[1][0], n = shapes[1][1], block = 2048;
  if (Size(shapes[2], ndims[2]) != n) return kArguments;
  auto *w = static_cast<const float *>(params[0]);
  auto *x = static_cast<const float *>(params[1]);
  auto *out = static_cast<float *>(params[2]);
  memset(out, 0, n * sizeof(float));
  for (int64_t first = 0; first < n; first += block) {
    const int64_t last = first + block < n ? first + block : n;
    for (int64_t b = 0; b < rows; ++b) {
      const float weight = w[b];
      const float *row = x + b * n;
      for (int64_t j = first; j < last; ++j) out[j] += weight * Finite(row[j]);
    }
  }
  return kOk;
}
}
