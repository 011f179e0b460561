// Kernels for MindSpore's Custom node: group and layer normalisation, and their gradients. float32.
//
// The gradients of scale and shift come in parts: one for each example, or one for all. The sums that they are made of
// are needed for the gradient of x anyway, so that the parts cost nothing.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Failure { kOk = 0, kArguments = 1, kTypes = 2 };

constexpr int kLanes = 16;

int64_t Size(const int64_t *shape, int ndim) {
  int64_t n = 1;
  while (ndim-- > 0) n *= *shape++;
  return n;
}

bool Floats(int first, int last, const char **dtypes) {
  for (int i = first; i < last; ++i)
    if (strcmp(dtypes[i], "float32")) return false;
  return true;
}

// The sum of map(k) for k < n, in several lanes.
template <typename Map>
float Total(int64_t n, Map map) {
  float lanes[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += map(k + j);
  for (int j = 0; k < n; ++k, ++j) lanes[j] += map(k);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  return lanes[0];
}

}  // namespace

extern "C" {

// group_norm(x [N, C, ..], scale [C], shift [C], groups int64 [1], epsilon []) -> y, mean [N, G], 1 / deviation [N, G].
int mindveil_group_norm(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 8 || ndims[0] < 2) return kArguments;
  if (!Floats(0, 3, dtypes) || strcmp(dtypes[3], "int64") || !Floats(4, 8, dtypes)) return kTypes;
  const int64_t rows = shapes[0][0], channels = shapes[0][1], groups = *static_cast<int64_t *>(params[3]);
  const int64_t space = Size(shapes[0] + 2, ndims[0] - 2), all = rows * channels * space;
  if (groups < 1 || channels % groups || Size(shapes[1], ndims[1]) != channels || Size(shapes[2], ndims[2]) != channels ||
      Size(shapes[5], ndims[5]) != all || Size(shapes[6], ndims[6]) != rows * groups ||
      Size(shapes[7], ndims[7]) != rows * groups)
    return kArguments;
  auto *x = static_cast<const float *>(params[0]), *scale = static_cast<const float *>(params[1]);
  auto *shift = static_cast<const float *>(params[2]);
  const float epsilon = *static_cast<float *>(params[4]);
  auto *y = static_cast<float *>(params[5]), *means = static_cast<float *>(params[6]);
  auto *spreads = static_cast<float *>(params[7]);
  const int64_t width = channels / groups, size = width * space;
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t g = 0; g < groups; ++g, x += size, y += size) {
      const float mean = Total(size, [x](int64_t k) { return x[k]; }) / size;
      const float variance = Total(size, [x, mean](int64_t k) { return (x[k] - mean) * (x[k] - mean); }) / size;
      const float spread = 1.0f / std::sqrt(variance + epsilon);
      for (int64_t c = 0; c < width; ++c) {
        const float factor = spread * scale[g * width + c], offset = shift[g * width + c];
        const float *from = x + c * space;
        float *to = y + c * space;
        for (int64_t k = 0; k < space; ++k) to[k] = (from[k] - mean) * factor + offset;
      }
      *means++ = mean;
      *spreads++ = spread;
    }
  return kOk;
}

// group_norm_grad(dy, x [N, C, ..], mean [N, G], 1 / deviation [N, G], scale [C])
// -> dx, gradients of scale and of shift [P, C], where P is N or 1.
int mindveil_group_norm_grad(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *,
                             void *) {
  if (nparam != 8 || ndims[1] < 2 || ndims[6] != 2) return kArguments;
  if (!Floats(0, 8, dtypes)) return kTypes;
  const int64_t rows = shapes[1][0], channels = shapes[1][1], parts = shapes[6][0];
  const int64_t space = Size(shapes[1] + 2, ndims[1] - 2), all = rows * channels * space;
  const int64_t groups = Size(shapes[2], ndims[2]) / rows;
  if (groups < 1 || channels % groups || Size(shapes[2], ndims[2]) != rows * groups ||
      Size(shapes[3], ndims[3]) != rows * groups || Size(shapes[4], ndims[4]) != channels ||
      Size(shapes[0], ndims[0]) != all || Size(shapes[5], ndims[5]) != all || (parts != 1 && parts != rows) ||
      Size(shapes[6], ndims[6]) != parts * channels || Size(shapes[7], ndims[7]) != parts * channels)
    return kArguments;
  auto *dy = static_cast<const float *>(params[0]), *x = static_cast<const float *>(params[1]);
  auto *means = static_cast<const float *>(params[2]), *spreads = static_cast<const float *>(params[3]);
  auto *scale = static_cast<const float *>(params[4]);
  auto *dx = static_cast<float *>(params[5]), *dscale = static_cast<float *>(params[6]);
  auto *dshift = static_cast<float *>(params[7]);
  memset(dscale, 0, sizeof(float) * parts * channels);
  memset(dshift, 0, sizeof(float) * parts * channels);
  const int64_t width = channels / groups, size = width * space;
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t g = 0; g < groups; ++g, x += size, dy += size, dx += size) {
      const float mean = *means++, spread = *spreads++;
      float shifts = 0, scales = 0;
      for (int64_t c = 0; c < width; ++c) {
        const float *a = dy + c * space, *b = x + c * space;
        const float plain = Total(space, [a](int64_t k) { return a[k]; });
        const float along = Total(space, [a, b, mean](int64_t k) { return a[k] * (b[k] - mean); }) * spread;
        const int64_t at = (parts == 1 ? 0 : n * channels) + g * width + c;
        dshift[at] += plain;
        dscale[at] += along;
        shifts += plain * scale[g * width + c];
        scales += along * scale[g * width + c];
      }
      const float flat = spread * shifts / size, slope = spread * spread * scales / size;
      for (int64_t c = 0; c < width; ++c) {
        const float factor = spread * scale[g * width + c];
        const float *a = dy + c * space, *b = x + c * space;
        float *to = dx + c * space;
        for (int64_t k = 0; k < space; ++k) to[k] = a[k] * factor - (b[k] - mean) * slope - flat;
      }
    }
  return kOk;
}

// layer_norm(x [R, C], scale [C], shift [C], epsilon []) -> y [R, C], mean [R], variance [R].
int mindveil_layer_norm(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  if (nparam != 7 || ndims[0] != 2) return kArguments;
  if (!Floats(0, 7, dtypes)) return kTypes;
  const int64_t rows = shapes[0][0], size = shapes[0][1];
  if (Size(shapes[1], ndims[1]) != size || Size(shapes[2], ndims[2]) != size || Size(shapes[4], ndims[4]) != rows * size ||
      Size(shapes[5], ndims[5]) != rows || Size(shapes[6], ndims[6]) != rows)
    return kArguments;
  auto *x = static_cast<const float *>(params[0]), *scale = static_cast<const float *>(params[1]);
  auto *shift = static_cast<const float *>(params[2]);
  const float epsilon = *static_cast<float *>(params[3]);
  auto *y = static_cast<float *>(params[4]), *means = static_cast<float *>(params[5]);
  auto *variances = static_cast<float *>(params[6]);
  for (int64_t r = 0; r < rows; ++r, x += size, y += size) {
    const float mean = Total(size, [x](int64_t k) { return x[k]; }) / size;
    const float variance = Total(size, [x, mean](int64_t k) { return (x[k] - mean) * (x[k] - mean); }) / size;
    const float spread = 1.0f / std::sqrt(variance + epsilon);
    for (int64_t k = 0; k < size; ++k) y[k] = (x[k] - mean) * spread * scale[k] + shift[k];
    means[r] = mean;
    variances[r] = variance;
  }
  return kOk;
}

// layer_norm_grad(x [R, C], dy [R, C], variance [R], mean [R], scale [C], epsilon [])
// -> dx [R, C], gradients of scale and of shift [P, C]: part p has the rows R / P * p and following.
int mindveil_layer_norm_grad(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *,
                             void *) {
  if (nparam != 9 || ndims[0] != 2 || ndims[7] != 2) return kArguments;
  if (!Floats(0, 9, dtypes)) return kTypes;
  const int64_t rows = shapes[0][0], size = shapes[0][1], parts = shapes[7][0];
  if (Size(shapes[1], ndims[1]) != rows * size || Size(shapes[2], ndims[2]) != rows || Size(shapes[3], ndims[3]) != rows ||
      Size(shapes[4], ndims[4]) != size || Size(shapes[6], ndims[6]) != rows * size || parts < 1 || rows % parts ||
      Size(shapes[7], ndims[7]) != parts * size || Size(shapes[8], ndims[8]) != parts * size)
    return kArguments;
  auto *x = static_cast<const float *>(params[0]), *dy = static_cast<const float *>(params[1]);
  auto *variances = static_cast<const float *>(params[2]), *means = static_cast<const float *>(params[3]);
  auto *scale = static_cast<const float *>(params[4]);
  const float epsilon = *static_cast<float *>(params[5]);
  auto *dx = static_cast<float *>(params[6]), *dscale = static_cast<float *>(params[7]);
  auto *dshift = static_cast<float *>(params[8]);
  memset(dscale, 0, sizeof(float) * parts * size);
  memset(dshift, 0, sizeof(float) * parts * size);
  for (int64_t r = 0; r < rows; ++r, x += size, dy += size, dx += size) {
    if (r > 0 && r % (rows / parts) == 0) dscale += size, dshift += size;
    const float mean = means[r], spread = 1.0f / std::sqrt(variances[r] + epsilon);
    const float flat = Total(size, [dy, scale](int64_t k) { return dy[k] * scale[k]; }) / size;
    const float along =
        Total(size, [x, dy, scale, mean](int64_t k) { return dy[k] * scale[k] * (x[k] - mean); }) * spread / size;
    for (int64_t k = 0; k < size; ++k) {
      const float normal = (x[k] - mean) * spread;
      dscale[k] += dy[k] * normal;
      dshift[k] += dy[k];
      dx[k] = spread * (dy[k] * scale[k] - flat - normal * along);
    }
  }
  return kOk;
}
}
