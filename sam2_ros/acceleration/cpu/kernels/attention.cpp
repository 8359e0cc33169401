// Attention, softmax(query key' / sqrt(c)) value, whose values may be narrower than keys: float32 with AVX2, AVX-512 or
// NEON, bfloat16 with AMX. Scores are never all in memory at once (flash attention, Dao et al. 2022).

#ifdef __AMX_BF16__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "lanes.h"

namespace {

constexpr long CHUNK = 512;      // queries, at most, that one thread takes to a block of keys
constexpr long BLOCK = 1 << 18;  // bytes of a block of keys, which its second cache holds

// As in attention.py. Strides, in elements, are those of batch, heads and tokens; channels are neighbours.
struct Call {
  const void *query, *key, *value;
  long query_strides[3], key_strides[3], value_strides[3];
  const uint8_t *valid;  // [batch, keys], 0 for keys to leave out; or null
  void *out;             // [batch, heads, queries, value_width]
  void *columns;         // room for values in bfloat16, turned: [batch, heads, value_width, keys up to an even number]
  long batch, heads, queries, keys, width, value_width, threads;
  float scale;  // log2(e) / sqrt(width)
};

#ifdef __AMX_BF16__
// The same by tiles of up to 16 x 16 words, as far as a consists of such; words are neighbours.
struct TileProduct {
  long height = 0, depth = 0;  // of a's tiles

  ~TileProduct() {
    if (height) _tile_release();
  }

  // As many as there are, in equal parts of at most so many: 28 words are two times 14. Or else the most.
  static long part(long count, long most) {
    const long parts = (count + most - 1) / most;
    return count && count % parts == 0 ? count / parts : most;
  }

  void shape(long high, long deep) {
    if (high == height && deep == depth) return;
    height = high;
    depth = deep;
    struct {
      uint8_t palette = 1, none[15] = {};
      uint16_t bytes[16] = {};  // of a row
      uint8_t rows[16] = {};
    } shape;
    for (int tile = 0; tile < 8; tile++) {  // sums, then two of a, then two of b
      shape.bytes[tile] = tile == 4 || tile == 5 ? 4 * depth : 64;
      shape.rows[tile] = tile < 6 ? height : depth;
    }
    asm volatile("" : : "r"(&shape) : "memory");  // it reads all 64 bytes; GCC knows of the first eight
    _tile_loadconfig(&shape);
  }

  void operator()(long rows, const Word *a, long row, long, const Word *b, long words, float *sums, bool add) {
    const long equal = part(rows, 32), both = equal % 2 ? 32 : equal;
    shape(both / 2, part(words, 16));
    asm volatile("" ::: "memory");  // the compiler doesn't know that tiles are loaded from memory
    const long tiled_rows = rows / both * both, tiled_words = words / depth * depth;
    for (long r = 0; tiled_words && r < tiled_rows; r += both) {
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

// One vector of a group, sums [width, GROUP] -> to [count, width], each query's by its total.
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

template <class Type, class Product>
void attend(const Call &call) {
  typedef typename Type::Value Value;
  constexpr long PER = sizeof(Word) / sizeof(Value);
  const long rows = call.batch * call.heads, words = call.width / PER, width = call.value_width;
  const long parts = (call.threads + rows - 1) / rows;  // of a row's queries, for each thread to have some
  const long chunk = std::min(CHUNK, groups_of((call.queries + parts - 1) / parts) * GROUP);
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
    const long queries = std::min(chunk, call.queries - start), groups = groups_of(queries);
    const long query_stride = call.query_strides[2], key_stride = call.key_strides[2];
    const Value *query = of(call.query, call.query_strides, row) + start * query_stride;
    const Value *key = of(call.key, call.key_strides, row);
    const uint8_t *valid = call.valid ? call.valid + row / call.heads * call.keys : nullptr;

    float *turned = room.of(groups * GROUP * (words + width + 2) + 2 * STEP * GROUP);
    float *sums = turned + groups * GROUP * words, *largest = sums + groups * GROUP * width;
    float *total = largest + groups * GROUP, *scores = total + groups * GROUP;
    float *weights = PER == 1 ? scores : scores + STEP * GROUP;
    auto in_vector = [&](long v) { return std::clamp(queries - v * LANES, 0L, (long)LANES); };
    for (long v = 0; v < VECTORS * groups; v++) {
      auto row_of = [&](long i) { return i < in_vector(v) ? (const Word *)(query + (v * LANES + i) * query_stride) : nullptr; };
      turn(row_of, words, (Word *)turned + v / VECTORS * GROUP * words + v % VECTORS * LANES);
    }
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
    for (long v = 0; v < VECTORS * groups; v++)
      turn_back<Type>(sums + v / VECTORS * GROUP * width + v % VECTORS * LANES, total + v * LANES, width, in_vector(v),
                      out + v * LANES * width);
  }
}

}  // namespace

extern "C" {

void attend_float32(const Call *call) { attend<Float32, Product<Float32>>(*call); }

#ifdef __AMX_BF16__
// Linux lends tiles to a process that has asked for them.
int may_use_tiles() { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

void attend_bfloat16(const Call *call) { attend<BFloat16, TileProduct>(*call); }
#endif
}
