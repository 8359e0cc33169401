// What the kernels for CPUs are made of: products, softmax and transposes, of numbers in the lanes of vectors.
//
// A group of tokens lies in the lanes of two vectors, or of four short ones, so channels are [channels, GROUP] and
// scores [keys, GROUP]: sums over channels, the largest score and the sum of weights are found lane by lane, and nothing
// is summed across lanes.
//
// A word is what one lane holds, 32 bits: a float, or two bfloat16 whose products are summed at once.

#pragma once

#ifdef __aarch64__
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace {

#if defined __AVX512F__
constexpr int LANES = 16, VECTORS = 2, ROWS = 8;
#elif defined __AVX2__
constexpr int LANES = 8, VECTORS = 2, ROWS = 6;
#else  // NEON
constexpr int LANES = 4, VECTORS = 4, ROWS = 4;
#endif
constexpr int GROUP = VECTORS * LANES;  // tokens; ROWS x GROUP sums fit into the registers
constexpr long STEP = 256;              // keys whose scores are held at a time
constexpr float LOW = -1e30f;           // the largest score, before there is any
constexpr float LEAST = -100;           // powers of two below which weights are not told apart: subnormals are slow

// So many take so many groups, of which the last need not be full.
constexpr long groups_of(long tokens) { return (tokens + GROUP - 1) / GROUP; }

#define INLINE inline __attribute__((always_inline))  // so that strides which are known are constants
#define APART __attribute__((noinline))                // so that loops have the registers to themselves

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Word;

inline Floats load(const float *from) {
  Floats x;
  memcpy(&x, from, sizeof x);
  return x;
}

// 1 / x, to the last bit or two.
inline Floats reciprocal(Floats x) {
#ifdef __AVX512F__
  const Floats guess = _mm512_rcp14_ps(x);
  return guess * (2 - x * guess);
#else
  return 1 / x;
#endif
}

inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }  // b where one is no number

inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }

inline void store(float *to, Floats x) { memcpy(to, &x, sizeof x); }

// r[i][j] -> r[j][i]: halves are exchanged, then quarters within them, and so on.
inline void transpose(Ints r[LANES]) {
#pragma GCC unroll 4
  for (int half = LANES / 2; half; half /= 2) {
    Ints first, second;
    for (int j = 0; j < LANES; j++) {
      first[j] = j & half ? LANES + j - half : j;
      second[j] = j & half ? LANES + j : j + half;
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
      if (!(i & half)) {
        const Ints a = r[i], b = r[i + half];
        r[i] = __builtin_shuffle(a, b, first);
        r[i + half] = __builtin_shuffle(a, b, second);
      }
  }
}

// What differs between the types: products, and how exact a weight has to be.

struct Float32 {
  typedef float Value;

  // Products of one word with LANES others are added to sums.
  static Floats add(Floats sums, Word word, const Word *words) {
    float x;
    memcpy(&x, &word, sizeof x);
    return sums + x * load((const float *)words);
  }

  // 2^x for x in LEAST .. 0, to 2e-7: whole numbers go into the exponent, the rest is -0.5 .. 0.5.
  static Floats power_of_two(Floats x) {
    const Floats shifted = x + 0x1.8p23f;  // its last bits are the whole number nearest to x
    const Floats rest = x - (shifted - 0x1.8p23f);
    Floats p = rest * 1.5403530e-4f + 1.3333558e-3f;
    p = p * rest + 9.6181291e-3f;
    p = p * rest + 5.5504109e-2f;
    p = p * rest + 2.4022651e-1f;
    p = p * rest + 6.9314718e-1f;
    p = p * rest + 1.0f;
    return (Floats)((Ints)p + ((Ints)shifted << 23));
  }

  static void put(Floats x, int count, float *to) { memcpy(to, &x, sizeof(float) * count); }
};

#ifdef __AMX_BF16__
struct BFloat16 {
  typedef uint16_t Value;

  static Floats add(Floats sums, Word word, const Word *words) {
    return _mm512_dpbf16_ps(sums, (__m512bh)_mm512_set1_epi32(word), (__m512bh)_mm512_loadu_si512(words));
  }

  // To 1e-4.
  static Floats power_of_two(Floats x) {
    const Floats rest = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);  // 0 .. 1
    Floats p = rest * 7.9019900e-2f + 2.2412680e-1f;
    p = p * rest + 6.9683520e-1f;
    p = p * rest + 9.9989290e-1f;
    return _mm512_scalef_ps(p, x);
  }

  static void put(Floats x, int count, uint16_t *to) {
    const auto halves = _mm512_cvtneps_pbh(x);
    memcpy(to, &halves, sizeof(uint16_t) * count);
  }

  static Floats pair(Floats first, Floats second) {
    const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const Ints order = lanes | (lanes + 16) << 16;
    return (Floats)_mm512_permutexvar_epi16((__m512i)order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
  }
};
#endif

template <class Type, int R, class Then>
INLINE void multiply(const Word *a, long row, long word, long next, const Word *b, long words, Then then) {
  Floats x[R][VECTORS] = {};
  for (; words > 0; words -= GROUP, a += next, b += GROUP * GROUP)
    for (long w = 0; w < std::min<long>(GROUP, words); w++)
#pragma GCC unroll 8
      for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++)
          x[r][i] = Type::add(x[r][i], a[r * row + w * word], b + w * GROUP + i * LANES);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
    for (int i = 0; i < VECTORS; i++) then(r, i * LANES, x[r][i]);
}

// a [rows, words] b [words, GROUP]; row, word and next are a's strides, the last from one GROUP of words to the next.
// then(r, lane, sums) is given row r, from a lane on.
template <class Type, class Then>
INLINE void multiply(long rows, const Word *a, long row, long word, long next, const Word *b, long words, Then then) {
  auto some = [&](auto count, long from) {
    multiply<Type, count()>(a + from * row, row, word, next, b, words,
                            [&](long r, int lane, Floats x) { then(from + r, lane, x); });
    return from + count();
  };
  long r = 0;
  while (r + ROWS <= rows) r = some(std::integral_constant<int, ROWS>(), r);
  while (r + 2 <= rows) r = some(std::integral_constant<int, 2>(), r);
  while (r < rows) r = some(std::integral_constant<int, 1>(), r);
}

// sums [rows, GROUP] (+)= a b, likewise; next: GROUP words, unless another is given.
template <class Type>
struct Product {
  void operator()(long rows, const Word *a, long row, long word, const Word *b, long words, float *sums, bool add,
                  long next = 0) {
    multiply<Type>(rows, a, row, word, next ? next : GROUP * word, b, words, [=](long r, int lane, Floats x) {
      float *sum = sums + r * GROUP + lane;
      store(sum, add ? load(sum) + x : x);  // last, so that what is added is of like size
    });
  }
};

// Words of tokens -> one vector of a group, [words, GROUP]; row_of(lane) is null for tokens that are missing: zeros.
template <class RowOf>
void turn(RowOf row_of, long words, Word *to) {
  const Word *rows[LANES];
  for (int i = 0; i < LANES; i++) rows[i] = row_of(i);
  long w = 0;
  for (; w + LANES <= words; w += LANES) {
    Ints r[LANES] = {};
    for (int i = 0; i < LANES; i++)
      if (rows[i]) memcpy(&r[i], rows[i] + w, sizeof r[i]);
    transpose(r);
    for (int i = 0; i < LANES; i++) memcpy(to + (w + i) * GROUP, &r[i], sizeof r[i]);
  }
  for (; w < words; w++)
    for (int i = 0; i < LANES; i++) to[w * GROUP + i] = rows[i] ? rows[i][w] : 0;
}

// Softmax goes on to more keys: scores [keys, GROUP] -> weights [keys or pairs of keys, GROUP]. Where one of the scores
// is the largest so far, what was found before shrinks.
template <class Type>
APART void weigh(const float *scores, long keys, float scale, float *weights, float *largest, float *total,
                  float *sums, long width) {
  Floats most[VECTORS], all[VECTORS], added[VECTORS] = {};
  for (int i = 0; i < VECTORS; i++) most[i] = load(scores + i * LANES);
  for (long k = 1; k < keys; k++)
    for (int i = 0; i < VECTORS; i++) most[i] = larger(most[i], load(scores + k * GROUP + i * LANES));
  for (int i = 0; i < VECTORS; i++) {
    const Floats before = load(largest + i * LANES);
    most[i] = larger(most[i] * scale, before);
    all[i] = load(total + i * LANES);
    if (!memcmp(&most[i], &before, sizeof before)) continue;
    const Floats shrunk = Float32::power_of_two(larger(Floats{} + LEAST, before - most[i]));  // exactly 1 for 0
    all[i] *= shrunk;
    for (float *sum = sums + i * LANES; sum < sums + width * GROUP; sum += GROUP) store(sum, load(sum) * shrunk);
    store(largest + i * LANES, most[i]);
  }
  auto weight = [&](long k, int i) {
    const Floats x = load(scores + k * GROUP + i * LANES) * scale - most[i];
    const Floats weight = Type::power_of_two(larger(Floats{} + LEAST, x));
    added[i] += weight;
    return weight;
  };
  if constexpr (sizeof(typename Type::Value) == sizeof(Word)) {
    for (long k = 0; k < keys; k++)
      for (int i = 0; i < VECTORS; i++) store(weights + k * GROUP + i * LANES, weight(k, i));
  } else {
    for (long k = 0; k < keys / 2; k++)
      for (int i = 0; i < VECTORS; i++) {
        const Floats first = weight(2 * k, i);
        store(weights + k * GROUP + i * LANES, Type::pair(first, weight(2 * k + 1, i)));
      }
    for (int i = 0; keys % 2 && i < VECTORS; i++)
      store(weights + keys / 2 * GROUP + i * LANES, Type::pair(weight(keys - 1, i), Floats{}));
  }
  for (int i = 0; i < VECTORS; i++) store(total + i * LANES, all[i] + added[i]);
}

// Memory that a thread keeps from call to call.
struct Room {
  void *data = nullptr;
  size_t size = 0;

  ~Room() { free(data); }

  float *of(size_t floats) {
    const size_t bytes = (sizeof(float) * floats + 63) / 64 * 64;
    if (bytes > size) {
      free(data);
      data = aligned_alloc(64, size = bytes);
    }
    return (float *)data;
  }
};

}  // namespace
