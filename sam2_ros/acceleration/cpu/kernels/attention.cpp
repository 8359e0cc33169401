// Flash attention (Dao et al. 2022), softmax(query key' / sqrt(c)) value, with values that may be narrower than keys:
// float32 with AVX2, AVX-512 or NEON, bfloat16 with AMX.

#ifdef __AMX_BF16__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "lanes.h"

namespace {

constexpr long QUERY_CHUNK = 512;          // queries of one task, at most
constexpr long KEY_BLOCK_BYTES = 1 << 18;  // fits into the L2 cache

// Mirrors `Call` of attention.py. Strides, in elements: of batch, heads and tokens; channels are contiguous.
struct Call {
  const void *query, *key, *value;
  long query_strides[3], key_strides[3], value_strides[3];
  const uint8_t *valid;  // [batch, keys], 0 for keys to leave out; null: all count
  void *out;             // [batch, heads, queries, value_width]
  void *columns;         // bfloat16: buffer for transposed values [batch, heads, value_width, keys, rounded up to even]
  long batch, heads, queries, keys, width, value_width, threads;
  float scale;  // log2(e) / sqrt(width)
};

#ifdef __AMX_BF16__
// `Product` by AMX tiles of up to 16 x 16 words; what remains of a is left to vectors. Words of a are contiguous.
struct TileProduct {
  long height = 0, depth = 0;  // of a's tiles

  ~TileProduct() {
    if (height) _tile_release();
  }

  // Size of equal parts of at most `most` that make up `count`: 28 words are two times 14. If there are none: `most`.
  static long part_size(long count, long most) {
    const long parts = (count + most - 1) / most;
    return count && count % parts == 0 ? count / parts : most;
  }

  void shape(long new_height, long new_depth) {
    if (new_height == height && new_depth == depth) return;
    height = new_height;
    depth = new_depth;
    struct {
      uint8_t palette = 1, reserved[15] = {};
      uint16_t bytes[16] = {};  // of a row
      uint8_t rows[16] = {};
    } shape;
    for (int tile = 0; tile < 8; tile++) {  // 0..3: sums, 4..5: a, 6..7: b
      shape.bytes[tile] = tile == 4 || tile == 5 ? 4 * depth : 64;
      shape.rows[tile] = tile < 6 ? height : depth;
    }
    asm volatile("" : : "r"(&shape) : "memory");  // GCC assumes that only the first eight bytes are read
    _tile_loadconfig(&shape);
  }

  void operator()(long rows, const Word *a, long row, long, const Word *b, long words, float *sums, bool add) {
    const long even_part = part_size(rows, 32), pair_rows = even_part % 2 ? 32 : even_part;
    shape(pair_rows / 2, part_size(words, 16));
    asm volatile("" ::: "memory");  // the compiler doesn't know that tiles are loaded from memory
    const long tiled_rows = rows / pair_rows * pair_rows, tiled_words = words / depth * depth;
    for (long r = 0; tiled_words && r < tiled_rows; r += pair_rows) {
      const Word *upper = a + r * row, *lower = upper + height * row;
      float *x = sums + r * GROUP, *y = x + height * GROUP;
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
      for (long w = 0; w < tiled_words; w += depth) {
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

// KEY_STEP keys of value [keys, width] -> columns [width, pairs of keys], padded with zero.
void transpose_values(const uint16_t *value, long stride, long from, long keys, long width, Word *columns) {
  const long pairs = (keys + 1) / 2;
  auto mask = [](long count) { return (__mmask16)(count >= 16 ? -1 : (1 << count) - 1); };
  for (long p = from / 2; p < std::min(pairs, (from + KEY_STEP) / 2); p += 16)
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

// One vector of a group: sums [width, GROUP] / total -> to [count, width].
template <class Type>
void normalize_and_transpose(const float *sums, const float *total, long width, long count, typename Type::Value *to) {
  const Floats factor = 1 / maximum(load(total), Floats{} + 1e-30f);  // 0 if no key counts
  for (long c = 0; c < width; c += LANES) {
    const long channels = std::min<long>(LANES, width - c);
    Ints r[LANES] = {};
    for (long i = 0; i < channels; i++) r[i] = (Ints)(load(sums + (c + i) * GROUP) * factor);
    transpose(r);
    for (long i = 0; i < count; i++) Type::store_first((Floats)r[i], channels, to + i * width + c);
  }
}

template <class Type, class Product>
void attend(const Call &call) {
  typedef typename Type::Value Value;
  constexpr long VALUES_PER_WORD = sizeof(Word) / sizeof(Value);
  const long rows = call.batch * call.heads, words = call.width / VALUES_PER_WORD, width = call.value_width;
  const long parts = (call.threads + rows - 1) / rows;  // splits each row's queries, so that every thread has a task
  const long chunk = std::min(QUERY_CHUNK, groups_of((call.queries + parts - 1) / parts) * GROUP);
  const long chunks = (call.queries + chunk - 1) / chunk;
  const long block = std::max(1L, KEY_BLOCK_BYTES / (call.width * (long)sizeof(Value)) / KEY_STEP) * KEY_STEP;
  auto row_start = [&](const void *x, const long *strides, long row) {
    return (const Value *)x + row / call.heads * strides[0] + row % call.heads * strides[1];
  };

  // Values, with channels as rows. In bfloat16, a word holds a pair of keys.
  const long pairs = (call.keys + VALUES_PER_WORD - 1) / VALUES_PER_WORD;
  const long column = VALUES_PER_WORD == 1 ? 1 : pairs, next = VALUES_PER_WORD == 1 ? call.value_strides[2] : 1;
  auto columns = [&](long row) {
    return VALUES_PER_WORD == 1 ? (Word *)row_start(call.value, call.value_strides, row)
                                : (Word *)call.columns + row * width * pairs;
  };
  if constexpr (VALUES_PER_WORD == 2) {
#pragma omp parallel for collapse(2) num_threads(call.threads)
    for (long row = 0; row < rows; row++)
      for (long k = 0; k < call.keys; k += KEY_STEP)
        transpose_values(row_start(call.value, call.value_strides, row), call.value_strides[2], k, call.keys, width,
                         columns(row));
  }

#pragma omp parallel for num_threads(call.threads) schedule(dynamic)
  for (long task = 0; task < rows * chunks; task++) {
    static thread_local Scratch scratch;
    Product product;
    const long row = task / chunks, start = task % chunks * chunk;
    const long queries = std::min(chunk, call.queries - start), groups = groups_of(queries);
    const long query_stride = call.query_strides[2], key_stride = call.key_strides[2];
    const Value *query = row_start(call.query, call.query_strides, row) + start * query_stride;
    const Value *key = row_start(call.key, call.key_strides, row);
    const uint8_t *valid = call.valid ? call.valid + row / call.heads * call.keys : nullptr;

    float *transposed_query = scratch.floats(groups * GROUP * (words + width + 2) + 2 * KEY_STEP * GROUP);
    float *sums = transposed_query + groups * GROUP * words, *largest = sums + groups * GROUP * width;
    float *total = largest + groups * GROUP, *scores = total + groups * GROUP;
    float *weights = VALUES_PER_WORD == 1 ? scores : scores + KEY_STEP * GROUP;
    auto in_vector = [&](long v) { return std::clamp(queries - v * LANES, 0L, (long)LANES); };
    for (long v = 0; v < VECTORS * groups; v++) {
      auto row_of = [&](long i) {
        return i < in_vector(v) ? (const Word *)(query + (v * LANES + i) * query_stride) : nullptr;
      };
      transpose_rows(row_of, words, (Word *)transposed_query + v / VECTORS * GROUP * words + v % VECTORS * LANES);
    }
    std::fill_n(sums, groups * GROUP * width, 0);
    std::fill_n(largest, groups * GROUP, LOWEST_SCORE);
    std::fill_n(total, groups * GROUP, 0);

    for (long from = 0; from < call.keys; from += block)
      for (long g = 0; g < groups; g++)
        for (long k = from; k < std::min(call.keys, from + block); k += KEY_STEP) {
          const long keys = std::min(KEY_STEP, call.keys - k);
          if (valid && std::all_of(valid + k, valid + k + keys, [](uint8_t key_valid) { return !key_valid; })) continue;
          product(keys, (const Word *)(key + k * key_stride), key_stride / VALUES_PER_WORD, 1,
                  (const Word *)transposed_query + g * GROUP * words, words, scores, false);
          for (long i = 0; valid && i < keys; i++)
            if (!valid[k + i]) std::fill_n(scores + i * GROUP, GROUP, -INFINITY);
          float *weighted = sums + g * GROUP * width;
          online_softmax<Type>(scores, keys, call.scale, weights, largest + g * GROUP, total + g * GROUP, weighted,
                               width);
          product(width, columns(row) + k / VALUES_PER_WORD * next, column, next, (const Word *)weights,
                  (keys + VALUES_PER_WORD - 1) / VALUES_PER_WORD, weighted, true);
        }

    Value *out = (Value *)call.out + (row * call.queries + start) * width;
    for (long v = 0; v < VECTORS * groups; v++)
      normalize_and_transpose<Type>(sums + v / VECTORS * GROUP * width + v % VECTORS * LANES, total + v * LANES, width,
                                    in_vector(v), out + v * LANES * width);
  }
}

}  // namespace

extern "C" {

void attend_float32(const Call *call) { attend<Float32, Product<Float32>>(*call); }

#ifdef __AMX_BF16__
// Linux grants AMX tiles to a process only on request.
int request_tiles() { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

void attend_bfloat16(const Call *call) { attend<BFloat16, TileProduct>(*call); }
#endif
}
