// A kernel for MindSpore's Custom node: the gradient of maximum pooling without padding. float32.
#include <cstdint>
#include <cstring>

namespace {
enum Failure { kOk = 0, kArguments = 1, kTypes = 2 };
}

extern "C" {

// max_pool_grad(x [N, C, H, W], y [N, C, h, w], dy like y, window int64 [4]) -> dx like x. The window holds height and
// width, and the two strides. The first maximum of a window, in the order of its rows, takes all; what no window covers
// gets 0.
int mindveil_max_pool_grad(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *,
                           void *) {
  if (nparam != 5 || ndims[0] != 4 || ndims[1] != 4 || ndims[2] != 4 || ndims[4] != 4 || ndims[3] != 1 ||
      shapes[3][0] != 4)
    return kArguments;
  if (strcmp(dtypes[0], "float32") || strcmp(dtypes[1], "float32") || strcmp(dtypes[2], "float32") ||
      strcmp(dtypes[3], "int64") || strcmp(dtypes[4], "float32"))
    return kTypes;
  const int64_t *in = shapes[0], *out = shapes[1], *window = static_cast<int64_t *>(params[3]);
  const int64_t planes = in[0] * in[1], high = in[2], wide = in[3], h = out[2], w = out[3], a = window[0], b = window[1];
  const int64_t down = window[2], across = window[3];
  if (out[0] != in[0] || out[1] != in[1] || a < 1 || b < 1 || down < 1 || across < 1 ||
      (h - 1) * down + a > high || (w - 1) * across + b > wide)
    return kArguments;
  for (int k = 0; k < 4; ++k)
    if (shapes[2][k] != out[k] || shapes[4][k] != in[k]) return kArguments;
  auto *x = static_cast<const float *>(params[0]), *y = static_cast<const float *>(params[1]);
  auto *dy = static_cast<const float *>(params[2]);
  auto *dx = static_cast<float *>(params[4]);
  if (a != down || b != across) {
    memset(dx, 0, sizeof(float) * planes * high * wide);
    for (int64_t p = 0; p < planes; ++p, x += high * wide, dx += high * wide)
      for (int64_t i = 0; i < h; ++i, y += w, dy += w)
        for (int64_t j = 0; j < w; ++j) {
          const int64_t corner = i * down * wide + j * across;
          int64_t at = -1;
          for (int64_t k = a - 1; k >= 0; --k)  // backwards, so that the first maximum is found last
            for (int64_t l = b - 1; l >= 0; --l)
              at = x[corner + k * wide + l] == y[j] ? corner + k * wide + l : at;
          if (at >= 0) dx[at] += dy[j];
        }
    return kOk;
  }
  for (int64_t p = 0; p < planes; ++p, x += high * wide, dx += high * wide) {
    if (h * a != high || w * b != wide) memset(dx, 0, sizeof(float) * high * wide);
    for (int64_t i = 0; i < h; ++i, y += w, dy += w)
      for (int64_t j = 0; j < w; ++j) {
        float rest = dy[j];
        for (int64_t k = 0; k < a; ++k)
          for (int64_t l = 0; l < b; ++l) {
            const int64_t at = (i * a + k) * wide + j * b + l;
            const bool first = x[at] == y[j];
            dx[at] = first ? rest : 0.0f;
            rest = first ? 0.0f : rest;
          }
      }
  }
  return kOk;
}
}
