// Building blocks of the CPU kernels: matrix products, online softmax and transposes on SIMD vectors.
//
// A group is GROUP tokens, one per lane of two vectors (AVX2, AVX-512) or four (NEON). Activations are stored as
// [channels, GROUP] and scores as [keys, GROUP], so sums over channels, the maximum score and the softmax denominator
// are computed lane by lane, without horizontal reductions.
//
// A word is the 32 bits of one lane: a float, or two bfloat16 whose products are summed by one instruction.

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
constexpr int GROUP = VECTORS * LANES;  // tokens; ROWS x GROUP accumulators fit into the registers
constexpr long KEY_STEP = 256;          // keys whose scores are in memory at a time
constexpr float LOWEST_SCORE = -1e30f;  // initial value of the running maximum
constexpr float MIN_EXPONENT = -100;    // exponents are clamped to this: subnormal numbers are slow

// Number of groups of so many tokens; the last may be partly filled.
constexpr long groups_of(long tokens) { return (tokens + GROUP - 1) / GROUP; }

#define ALWAYS_INLINE inline __attribute__((always_inline))  // turns strides into compile-time constants
#define NOINLINE __attribute__((noinline))                   // keeps registers free for the inner loops

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Word;

inline Floats load(const float *from) {
  Floats x;
  memcpy(&x, from, sizeof x);
  return x;
}

// 1 / x, accurate to one or two units in the last place.
inline Floats reciprocal(Floats x) {
#ifdef __AVX512F__
  const Floats guess = _mm512_rcp14_ps(x);
  return guess * (2 - x * guess);
#else
  return 1 / x;
#endif
}

inline Floats maximum(Floats a, Floats b) { return a > b ? a : b; }  // b if either is NaN

inline Floats minimum(Floats a, Floats b) { return a < b ? a : b; }

inline void store(float *to, Floats x) { memcpy(to, &x, sizeof x); }

// r[i][j] -> r[j][i], by exchanging halves, then quarters within them, and so on.
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

// Operations of each precision: multiply-accumulate, and 2^x as accurate as its weights need.

struct Float32 {
  typedef float Value;

  // sums + word * words, for LANES words.
  static Floats add(Floats sums, Word word, const Word *words) {
    float x;
    memcpy(&x, &word, sizeof x);
    return sums + x * load((const float *)words);
  }

  // 2^x for x in MIN_EXPONENT .. 0, relative error 2e-7: the integer part goes into the exponent, the fraction,
  // -0.5 .. 0.5, into a polynomial.
  static Floats exp2(Floats x) {
    const Floats shifted = x + 0x1.8p23f;  // its low bits are the integer nearest to x
    const Floats rest = x - (shifted - 0x1.8p23f);
    Floats p = rest * 1.5403530e-4f + 1.3333558e-3f;
    p = p * rest + 9.6181291e-3f;
    p = p * rest + 5.5504109e-2f;
    p = p * rest + 2.4022651e-1f;
    p = p * rest + 6.9314718e-1f;
    p = p * rest + 1.0f;
    return (Floats)((Ints)p + ((Ints)shifted << 23));
  }

  static void store_first(Floats x, int count, float *to) { memcpy(to, &x, sizeof(float) * count); }
};

#ifdef __AMX_BF16__
struct BFloat16 {
  typedef uint16_t Value;

  static Floats add(Floats sums, Word word, const Word *words) {
    return _mm512_dpbf16_ps(sums, (__m512bh)_mm512_set1_epi32(word), (__m512bh)_mm512_loadu_si512(words));
  }

  // Relative error 1e-4.
  static Floats exp2(Floats x) {
    const Floats rest = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);  // 0 .. 1
    Floats p = rest * 7.9019900e-2f + 2.2412680e-1f;
    p = p * rest + 6.9683520e-1f;
    p = p * rest + 9.9989290e-1f;
    return _mm512_scalef_ps(p, x);
  }

  static void store_first(Floats x, int count, uint16_t *to) {
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

template <class Type, int R, class Epilogue>
ALWAYS_INLINE void multiply(const Word *a, long row, long word, long next, const Word *b, long words,
                            Epilogue epilogue) {
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
    for (int i = 0; i < VECTORS; i++) epilogue(r, i * LANES, x[r][i]);
}

// a [rows, words] times b [words, GROUP]. Strides of a: row, word, and next from one GROUP of words to the next.
// epilogue(r, lane, sums) receives LANES sums of row r, starting at a lane.
template <class Type, class Epilogue>
ALWAYS_INLINE void multiply(long rows, const Word *a, long row, long word, long next, const Word *b, long words,
                            Epilogue epilogue) {
  auto rows_at_once = [&](auto count, long from) {
    multiply<Type, count()>(a + from * row, row, word, next, b, words,
                            [&](long r, int lane, Floats x) { epilogue(from + r, lane, x); });
    return from + count();
  };
  long r = 0;
  while (r + ROWS <= rows) r = rows_at_once(std::integral_constant<int, ROWS>(), r);
  while (r + 2 <= rows) r = rows_at_once(std::integral_constant<int, 2>(), r);
  while (r < rows) r = rows_at_once(std::integral_constant<int, 1>(), r);
}

// sums [rows, GROUP] (+)= a b, with strides as above; next = 0: GROUP words.
template <class Type>
struct Product {
  void operator()(long rows, const Word *a, long row, long word, const Word *b, long words, float *sums, bool add,
                  long next = 0) {
    multiply<Type>(rows, a, row, word, next ? next : GROUP * word, b, words, [=](long r, int lane, Floats x) {
      float *sum = sums + r * GROUP + lane;
      store(sum, add ? load(sum) + x : x);  // added last: partial sums of similar size round less
    });
  }
};

// Rows of LANES tokens -> one vector of a group, [words, GROUP]. row_of(lane) is null for missing tokens, which become
// zeros.
template <class RowOf>
void transpose_rows(RowOf row_of, long words, Word *to) {
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

// Online softmax over another block of keys: scores [keys, GROUP] -> weights [keys or pairs of keys, GROUP]. Where the
// running maximum grows, total and sums [width, GROUP] are rescaled.
template <class Type>
NOINLINE void online_softmax(const float *scores, long keys, float scale, float *weights, float *largest, float *total,
                             float *sums, long width) {
  Floats new_largest[VECTORS], new_total[VECTORS], added[VECTORS] = {};
  for (int i = 0; i < VECTORS; i++) new_largest[i] = load(scores + i * LANES);
  for (long k = 1; k < keys; k++)
    for (int i = 0; i < VECTORS; i++) new_largest[i] = maximum(new_largest[i], load(scores + k * GROUP + i * LANES));
  for (int i = 0; i < VECTORS; i++) {
    const Floats old_largest = load(largest + i * LANES);
    new_largest[i] = maximum(new_largest[i] * scale, old_largest);
    new_total[i] = load(total + i * LANES);
    if (!memcmp(&new_largest[i], &old_largest, sizeof old_largest)) continue;
    const Floats rescale =
        Float32::exp2(maximum(Floats{} + MIN_EXPONENT, old_largest - new_largest[i]));  // exp2(0) is exactly 1
    new_total[i] *= rescale;
    for (float *sum = sums + i * LANES; sum < sums + width * GROUP; sum += GROUP) store(sum, load(sum) * rescale);
    store(largest + i * LANES, new_largest[i]);
  }
  auto weight = [&](long k, int i) {
    const Floats x = load(scores + k * GROUP + i * LANES) * scale - new_largest[i];
    const Floats weight = Type::exp2(maximum(Floats{} + MIN_EXPONENT, x));
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
  for (int i = 0; i < VECTORS; i++) store(total + i * LANES, new_total[i] + added[i]);
}

// A buffer that a thread reuses from call to call. It grows, never shrinks.
struct Scratch {
  void *data = nullptr;
  size_t size = 0;

  ~Scratch() { free(data); }

  float *floats(size_t floats) {
    const size_t bytes = (sizeof(float) * floats + 63) / 64 * 64;
    if (bytes > size) {
      free(data);
      data = aligned_alloc(64, size = bytes);
    }
    return (float *)data;
  }
};

}  // namespace
