// What PyTorch lacks on x86 processors.
//
// Attention, softmax(query key' / sqrt(c)) value, whose values may be narrower than keys: float32 with AVX2 or AVX-512,
// bfloat16 with AMX. Scores are never all in memory at once (flash attention, Dao et al. 2022). A group of queries lies
// side by side in the lanes of two vectors, so scores are [keys, group]: the largest score and the sum of weights are
// found lane by lane, and nothing is ever summed across lanes.
//
// Rotary embedding of bfloat16 in place, where PyTorch copies to float32 and back.
//
// A word is what one lane holds, 32 bits: a float, or two bfloat16 whose products are summed at once.

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#ifdef __AMX_BF16__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

#ifdef __AVX512F__
constexpr int LANES = 16, ROWS = 8;
#else
constexpr int LANES = 8, ROWS = 6;
#endif
constexpr int GROUP = 2 * LANES;  // queries; ROWS x GROUP sums fit into the registers
constexpr long STEP = 256;        // keys whose scores are held at a time
constexpr long CHUNK = 512;       // queries, at most, that one thread takes to a block of keys
constexpr long BLOCK = 1 << 18;   // bytes of a block of keys, which its second cache holds
constexpr float LOW = -1e30f;     // the largest score, before there is any
constexpr float LEAST = -100;     // powers of two below which weights are not told apart: subnormal numbers are slow

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Word;

// As in cpu_kernels.py. Strides, in elements, are those of batch, heads and tokens; channels are neighbours.
struct Call {
  const void *query, *key, *value;
  long query_strides[3], key_strides[3], value_strides[3];
  const uint8_t *valid;  // [batch, keys], 0 for keys to leave out; or null
  void *out;             // [batch, heads, queries, value_width]
  void *columns;         // room for values in bfloat16, turned: [batch, heads, value_width, keys up to an even number]
  long batch, heads, queries, keys, width, value_width, threads;
  float scale;  // log2(e) / sqrt(width)
};

inline Floats load(const float *from) {
  Floats x;
  memcpy(&x, from, sizeof x);
  return x;
}

inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }  // b where one is no number

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

template <class Type, int R>
inline void multiply(const Word *a, long row, long word, const Word *b, long words, float *sums, bool add) {
  Floats x[R][2] = {};
  for (long w = 0; w < words; w++)
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      x[r][0] = Type::add(x[r][0], a[r * row + w * word], b + w * GROUP);
      x[r][1] = Type::add(x[r][1], a[r * row + w * word], b + w * GROUP + LANES);
    }
  for (int r = 0; r < R; r++)
    for (int i = 0; i < 2; i++) {
      float *sum = sums + r * GROUP + i * LANES;
      store(sum, add ? load(sum) + x[r][i] : x[r][i]);  // last, so that what is added is of like size
    }
}

// sums [rows, GROUP] (+)= a [rows, words] b [words, GROUP]; row and word are a's strides.
template <class Type>
struct Product {
  void operator()(long rows, const Word *a, long row, long word, const Word *b, long words, float *sums, bool add) {
    long r = 0;
    for (; r + ROWS <= rows; r += ROWS) multiply<Type, ROWS>(a + r * row, row, word, b, words, sums + r * GROUP, add);
    for (; r + 2 <= rows; r += 2) multiply<Type, 2>(a + r * row, row, word, b, words, sums + r * GROUP, add);
    for (; r < rows; r++) multiply<Type, 1>(a + r * row, row, word, b, words, sums + r * GROUP, add);
  }
};

#ifdef __AMX_BF16__
// The same by tiles of 16 x 16 words, as far as a consists of such; words are neighbours.
struct TileProduct {
  TileProduct() {
    alignas(64) static constexpr struct {
      uint8_t palette = 1, none[15] = {};
      uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};  // of a row
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } shape;
    _tile_loadconfig(&shape);
  }

  ~TileProduct() { _tile_release(); }

  void operator()(long rows, const Word *a, long row, long, const Word *b, long words, float *sums, bool add) {
    asm volatile("" ::: "memory");  // the compiler doesn't know that tiles are loaded from memory
    const long tiled_rows = rows / 32 * 32, tiled_words = words / 16 * 16;
    for (long r = 0; tiled_words && r < tiled_rows; r += 32) {
      const Word *upper = a + r * row, *lower = upper + 16 * row;
      float *x = sums + r * GROUP, *y = x + 16 * GROUP;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      if (add) {
        _tile_loadd(0, x, 4 * GROUP);
        _tile_loadd(1, x + 16, 4 * GROUP);
        _tile_loadd(2, y, 4 * GROUP);
        _tile_loadd(3, y + 16, 4 * GROUP);
      }
      for (long w = 0; w < tiled_words; w += 16) {
        _tile_loadd(4, upper + w, 4 * row);
        _tile_loadd(6, b + w * GROUP, 4 * GROUP);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + w * GROUP + 16, 4 * GROUP);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, lower + w, 4 * row);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      _tile_stored(0, x, 4 * GROUP);
      _tile_stored(1, x + 16, 4 * GROUP);
      _tile_stored(2, y, 4 * GROUP);
      _tile_stored(3, y + 16, 4 * GROUP);
    }
    Product<BFloat16> rest;
    if (tiled_words < words)
      rest(tiled_rows, a + tiled_words, row, 1, b + tiled_words * GROUP, words - tiled_words, sums, add || tiled_words);
    rest(rows - tiled_rows, a + tiled_rows * row, row, 1, b, words, sums + tiled_rows * GROUP, add);
  }
};

// STEP of the keys in value [keys, width] -> columns [width, pairs of keys]; zero for what is missing of a pair.
void turn_values(const uint16_t *value, long stride, long from, long keys, long width, Word *columns) {
  const long pairs = (keys + 1) / 2;
  auto mask = [](long count) { return (__mmask16)(count >= 16 ? -1 : (1 << count) - 1); };
  for (long p = from / 2; p < std::min(pairs, (from + STEP) / 2); p += 16)
    for (long c = 0; c < width; c += 16) {
      Ints r[16] = {};
      for (long k = 2 * p; k < std::min(keys, 2 * p + 32); k++) {
        const Ints x = (Ints)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask(width - c), value + k * stride + c));
        r[(k - 2 * p) / 2] |= k % 2 ? x << 16 : x;
      }
      transpose(r);
      for (long i = 0; i < std::min(16L, width - c); i++)
        _mm512_mask_storeu_epi32(columns + (c + i) * pairs + p, mask(pairs - p), (__m512i)r[i]);
    }
}
#endif

// rows [count, words] -> one half of a group, to [words, GROUP]; zeros for rows that are missing.
void turn(const Word *rows, long stride, long count, long words, Word *to) {
  long w = 0;
  if (count == LANES)
    for (; w + LANES <= words; w += LANES) {
      Ints r[LANES];
      for (int i = 0; i < LANES; i++) memcpy(&r[i], rows + i * stride + w, sizeof r[i]);
      transpose(r);
      for (int i = 0; i < LANES; i++) memcpy(to + (w + i) * GROUP, &r[i], sizeof r[i]);
    }
  for (; w < words; w++)
    for (int i = 0; i < LANES; i++) to[w * GROUP + i] = i < count ? rows[i * stride + w] : 0;
}

// One half of a group, sums [width, GROUP] -> to [count, width], each query's by its total.
template <class Type>
void turn_back(const float *sums, const float *total, long width, long count, typename Type::Value *to) {
  const Floats factor = 1 / larger(load(total), Floats{} + 1e-30f);  // 0 without any key
  for (long c = 0; c < width; c += LANES) {
    const long channels = std::min<long>(LANES, width - c);
    Ints r[LANES] = {};
    for (long i = 0; i < channels; i++) r[i] = (Ints)(load(sums + (c + i) * GROUP) * factor);
    transpose(r);
    for (long i = 0; i < count; i++) Type::put((Floats)r[i], channels, to + i * width + c);
  }
}

// Softmax goes on to more keys: scores [keys, GROUP] -> weights [keys or pairs of keys, GROUP]. Where one of the scores
// is the largest so far, what was found before shrinks.
template <class Type>
inline void weigh(const float *scores, long keys, float scale, float *weights, float *largest, float *total,
                  float *sums, long width) {
  Floats most[2] = {load(scores), load(scores + LANES)}, all[2], added[2] = {};
  for (long k = 1; k < keys; k++)
    for (int i = 0; i < 2; i++) most[i] = larger(most[i], load(scores + k * GROUP + i * LANES));
  for (int i = 0; i < 2; i++) {
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
      for (int i = 0; i < 2; i++) store(weights + k * GROUP + i * LANES, weight(k, i));
  } else {
    for (long k = 0; k < keys / 2; k++)
      for (int i = 0; i < 2; i++) {
        const Floats first = weight(2 * k, i);
        store(weights + k * GROUP + i * LANES, Type::pair(first, weight(2 * k + 1, i)));
      }
    for (int i = 0; keys % 2 && i < 2; i++)
      store(weights + keys / 2 * GROUP + i * LANES, Type::pair(weight(keys - 1, i), Floats{}));
  }
  for (int i = 0; i < 2; i++) store(total + i * LANES, all[i] + added[i]);
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

template <class Type, class Product>
void attend(const Call &call) {
  typedef typename Type::Value Value;
  constexpr long PER = sizeof(Word) / sizeof(Value);
  const long rows = call.batch * call.heads, words = call.width / PER, width = call.value_width;
  const long parts = (call.threads + rows - 1) / rows;  // of a row's queries, for each thread to have some
  const long chunk = std::min(CHUNK, ((call.queries + parts - 1) / parts + GROUP - 1) / GROUP * GROUP);
  const long chunks = (call.queries + chunk - 1) / chunk;
  const long block = std::max(1L, BLOCK / (call.width * (long)sizeof(Value)) / STEP) * STEP;
  auto of = [&](const void *x, const long *strides, long row) {
    return (const Value *)x + row / call.heads * strides[0] + row % call.heads * strides[1];
  };

  // What weights are multiplied with, channels as rows. In bfloat16 a word has to hold a pair of keys.
  const long pairs = (call.keys + PER - 1) / PER;
  const long column = PER == 1 ? 1 : pairs, next = PER == 1 ? call.value_strides[2] : 1;
  auto columns = [&](long row) {
    return PER == 1 ? (Word *)of(call.value, call.value_strides, row) : (Word *)call.columns + row * width * pairs;
  };
  if constexpr (PER == 2) {
#pragma omp parallel for collapse(2) num_threads(call.threads)
    for (long row = 0; row < rows; row++)
      for (long k = 0; k < call.keys; k += STEP)
        turn_values(of(call.value, call.value_strides, row), call.value_strides[2], k, call.keys, width, columns(row));
  }

#pragma omp parallel for num_threads(call.threads) schedule(dynamic)
  for (long task = 0; task < rows * chunks; task++) {
    static thread_local Room room;
    Product product;
    const long row = task / chunks, start = task % chunks * chunk;
    const long queries = std::min(chunk, call.queries - start), groups = (queries + GROUP - 1) / GROUP;
    const long query_stride = call.query_strides[2], key_stride = call.key_strides[2];
    const Value *query = of(call.query, call.query_strides, row) + start * query_stride;
    const Value *key = of(call.key, call.key_strides, row);
    const uint8_t *valid = call.valid ? call.valid + row / call.heads * call.keys : nullptr;

    float *turned = room.of(groups * GROUP * (words + width + 2) + 2 * STEP * GROUP);
    float *sums = turned + groups * GROUP * words, *largest = sums + groups * GROUP * width;
    float *total = largest + groups * GROUP, *scores = total + groups * GROUP;
    float *weights = PER == 1 ? scores : scores + STEP * GROUP;
    auto in_half = [&](long half) { return std::clamp(queries - half * LANES, 0L, (long)LANES); };
    for (long half = 0; half < 2 * groups; half++)
      turn((const Word *)(query + half * LANES * query_stride), query_stride / PER, in_half(half), words,
           (Word *)turned + half / 2 * GROUP * words + half % 2 * LANES);
    std::fill_n(sums, groups * GROUP * width, 0);
    std::fill_n(largest, groups * GROUP, LOW);
    std::fill_n(total, groups * GROUP, 0);

    for (long from = 0; from < call.keys; from += block)
      for (long g = 0; g < groups; g++)
        for (long k = from; k < std::min(call.keys, from + block); k += STEP) {
          const long keys = std::min(STEP, call.keys - k);
          if (valid && std::all_of(valid + k, valid + k + keys, [](uint8_t it) { return !it; })) continue;
          product(keys, (const Word *)(key + k * key_stride), key_stride / PER, 1,
                  (const Word *)turned + g * GROUP * words, words, scores, false);
          for (long i = 0; valid && i < keys; i++)
            if (!valid[k + i]) std::fill_n(scores + i * GROUP, GROUP, -INFINITY);
          float *found = sums + g * GROUP * width;
          weigh<Type>(scores, keys, call.scale, weights, largest + g * GROUP, total + g * GROUP, found, width);
          product(width, columns(row) + k / PER * next, column, next, (const Word *)weights, (keys + PER - 1) / PER,
                  found, true);
        }

    Value *out = (Value *)call.out + (row * call.queries + start) * width;
    for (long half = 0; half < 2 * groups; half++)
      turn_back<Type>(sums + half / 2 * GROUP * width + half % 2 * LANES, total + half * LANES, width, in_half(half),
                      out + half * LANES * width);
  }
}

}  // namespace

extern "C" {

void attend_float32(const Call *call) { attend<Float32, Product<Float32>>(*call); }

#ifdef __AMX_BF16__
// Linux lends tiles to a process that has asked for them.
int may_use_tiles() { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

void attend_bfloat16(const Call *call) { attend<BFloat16, TileProduct>(*call); }

// x [batch, tokens, words], of which neighbouring channels are a complex number, times turns [cells, words]: cosine and
// sine. Tokens are whole grids of cells, words whole vectors.
void rotate_bfloat16(Word *x, const float *turns, long batch, long tokens, long words, long batch_stride,
                     long token_stride, long cells, long threads) {
  const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#pragma omp parallel for collapse(2) num_threads(threads)
  for (long b = 0; b < batch; b++)
    for (long t = 0; t < tokens; t++)
      for (long w = 0; w < words; w += LANES) {
        Word *pair = x + b * batch_stride + t * token_stride + w;
        const float *turn = turns + (t % cells * words + w) * 2;
        Ints both;
        memcpy(&both, pair, sizeof both);
        const Floats first = (Floats)(both << 16), second = (Floats)(both & (int)0xffff0000);
        const Floats cosine = __builtin_shuffle(load(turn), load(turn + LANES), 2 * lanes);
        const Floats sine = __builtin_shuffle(load(turn), load(turn + LANES), 2 * lanes + 1);
        store((float *)pair, BFloat16::pair(first * cosine - second * sine, first * sine + second * cosine));
      }
}
#endif
}
