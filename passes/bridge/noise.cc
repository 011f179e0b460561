// A kernel for MindSpore's Custom node: noise(sigma[], [slot, launch] int64, g1..gn) -> g1 + sigma z1, .., gn + sigma zn.
// noise_times has one input more behind the key, a factor [], that every result is multiplied by.
// Slot 0 draws from a key of the operating system and counts its own launches: nobody can know or repeat that noise.
// Other slots have a seed that somebody chose and take the launch number from the graph: for tests only.
// A wrong argument returns a code, and MindSpore raises: the step fails closed.
#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "gauss.h"

namespace {

enum Failure { kOk = 0, kArguments = 1, kTypes = 2, kSigma = 3, kSlot = 4 };

struct Key {
  uint64_t words[4] = {};
};

class Keys {
 public:
  Keys() {
    Fresh();
    // A forked child must not repeat its parent's noise.
    pthread_atfork(nullptr, nullptr, [] { Instance().Fresh(); });
  }
  static Keys &Instance() {
    static Keys keys;
    return keys;
  }
  void Seed(int64_t slot, uint64_t seed) {
    std::lock_guard<std::mutex> lock(mutex_);
    Key key;
    for (int i = 0; i < 4; ++i) key.words[i] = seed * 4 + i;
    seeded_[slot] = key;
  }
  // The key and the launch number of a slot; false if nobody seeded it.
  bool Find(int64_t slot, uint64_t asked, Key *key, uint64_t *launch) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (slot == 0) {
      *key = secret_;
      *launch = launches_++;
      return true;
    }
    auto found = seeded_.find(slot);
    if (found == seeded_.end()) return false;
    *key = found->second;
    *launch = asked;
    return true;
  }

 private:
  void Fresh() {
    if (getrandom(secret_.words, sizeof secret_.words, 0) != sizeof secret_.words) std::terminate();
    launches_ = 0;
  }
  std::mutex mutex_;
  Key secret_;
  uint64_t launches_ = 0;
  std::map<int64_t, Key> seeded_;
};

std::atomic<int> threads{1};

int64_t Size(const int64_t *shape, int ndim) {
  int64_t n = 1;
  while (ndim-- > 0) n *= *shape++;
  return n;
}

struct Work {
  int count, first_input, first_output;
  void **params;
  std::vector<int64_t> sizes, first;  // elements of each array, and the group each begins with
  float sigma, factor;
  uint64_t launch;
};

constexpr int64_t kGroup = 64 * gauss::Secure::kGroups;

// Groups lo..hi of all arrays laid end to end. Every array starts at a group of its own, so that the numbers do not
// depend on how the work is divided, and so that no two parameters share any.
void Part(const gauss::Secure &generator, const Work &w, int64_t lo, int64_t hi) {
  for (int i = 0; i < w.count; ++i) {
    const int64_t a = std::max(lo, w.first[i]), b = std::min(hi, w.first[i + 1]);
    if (a >= b) continue;
    const int64_t k = (a - w.first[i]) * kGroup, n = std::min(w.sizes[i], (b - w.first[i]) * kGroup) - k;
    auto *in = static_cast<float *>(w.params[w.first_input + i]) + k;
    auto *out = static_cast<float *>(w.params[w.first_output + i]) + k;
    constexpr int64_t block = 16;  // groups at a time, so that the product finds them in the cache
    for (int64_t at = 0; at < n; at += block * kGroup) {
      const int64_t size = std::min(n - at, block * kGroup);
      if (w.sigma == 0) {
        if (in != out) memcpy(out + at, in + at, size * sizeof(float));
      } else {
        gauss::add<gauss::Secure, true>(generator, w.launch, a + at / kGroup, in + at, out + at, size, w.sigma);
      }
      if (w.factor != 1)
        for (int64_t j = at; j < at + size; ++j) out[j] *= w.factor;
    }
  }
}

// In place: the inputs take the noise themselves, and the one output says only that they have.
int Noise(int first, bool in_place, int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes) {
  Work w;
  w.first_input = first;
  w.count = in_place ? nparam - first - 1 : (nparam - first) / 2;
  w.first_output = in_place ? first : first + w.count;
  w.params = params;
  if (nparam != (in_place ? w.count + 1 : 2 * w.count) + first || w.count < 1) return kArguments;
  if (strcmp(dtypes[0], "float32") || strcmp(dtypes[1], "int64") || Size(shapes[1], ndims[1]) != 2) return kTypes;
  w.sigma = *static_cast<float *>(params[0]);
  w.factor = 1;
  if (first == 3) {
    if (strcmp(dtypes[2], "float32") || Size(shapes[2], ndims[2]) != 1) return kTypes;
    w.factor = *static_cast<float *>(params[2]);
  }
  // A grid of sigma / 2^20 must not be denormal. Zero is allowed: a run without noise, which nobody calls private.
  if (!(w.sigma >= 0) || std::isinf(w.sigma) || (w.sigma > 0 && w.sigma < 0x1p-100f)) return kSigma;
  const auto *control = static_cast<int64_t *>(params[1]);
  Key key;
  if (!Keys::Instance().Find(control[0], static_cast<uint64_t>(control[1]), &key, &w.launch)) return kSlot;
  w.first.push_back(0);
  for (int i = 0; i < w.count; ++i) {
    const int in = first + i, out = w.first_output + i;
    if (strcmp(dtypes[in], "float32") || strcmp(dtypes[out], "float32")) return kTypes;
    w.sizes.push_back(Size(shapes[in], ndims[in]));
    if (w.sizes.back() != Size(shapes[out], ndims[out])) return kArguments;
    w.first.push_back(w.first.back() + (w.sizes.back() + kGroup - 1) / kGroup);
  }
  const gauss::Secure generator(key.words);
  const int64_t total = w.first.back();
  const int64_t share = std::max<int64_t>((total + threads - 1) / threads, (1 << 18) / kGroup);
  std::vector<std::thread> others;
  for (int64_t lo = share; lo < total; lo += share)
    others.emplace_back(Part, std::cref(generator), std::cref(w), lo, std::min(total, lo + share));
  Part(generator, w, 0, std::min(total, share));
  for (auto &t : others) t.join();
  return kOk;
}

}  // namespace

extern "C" {

void mindveil_noise_seed(int64_t slot, uint64_t seed) { Keys::Instance().Seed(slot, seed); }
void mindveil_noise_threads(int n) { threads = n > 0 ? n : 1; }

int mindveil_noise(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  return Noise(2, false, nparam, params, ndims, shapes, dtypes);
}

int mindveil_noise_times(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  return Noise(3, false, nparam, params, ndims, shapes, dtypes);
}

int mindveil_noise_within(int nparam, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *, void *) {
  return Noise(3, true, nparam, params, ndims, shapes, dtypes);
}
}
