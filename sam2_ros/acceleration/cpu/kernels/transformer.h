// Layers of a transformer in float32, for one group of tokens at a time: activations [channels, GROUP] stay in the L1
// and L2 caches, and only weights are streamed from memory.

#pragma once

#include "lanes.h"

namespace {

// sum = a + b, [channels, GROUP]; sum may alias a or b.
NOINLINE inline void add(const float *a, const float *b, long channels, float *sum) {
  for (long i = 0; i < channels * GROUP; i += LANES) store(sum + i, load(a + i) + load(b + i));
}

// Weight [out, in] and bias [out] of a linear layer, in PyTorch's layout; both [channels] for a norm.
struct Weights {
  const float *weight, *bias;
};

// Linear layer on x [in, GROUP]; epilogue(channel, lane, values) receives the outputs.
template <class Epilogue>
NOINLINE void linear(Weights layer, long in, long out, const float *x, Epilogue epilogue) {
  multiply<Float32>(out, (const Word *)layer.weight, in, 1, GROUP, (const Word *)x, in,
                    [&](long c, int lane, Floats y) { epilogue(c, lane, y + layer.bias[c]); });
}

// y [out, GROUP] = linear(x).
NOINLINE inline void linear_to(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x, [=](long c, int lane, Floats value) { store(y + c * GROUP + lane, value); });
}

NOINLINE inline void add_linear(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x, [=](long c, int lane, Floats extra) {
    float *to = y + c * GROUP + lane;
    store(to, load(to) + extra);
  });
}

// y = relu(linear(x)).
NOINLINE inline void relu_linear(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x,
         [=](long c, int lane, Floats value) { store(y + c * GROUP + lane, maximum(Floats{}, value)); });
}

inline Floats square_root(Floats x) {  // std::sqrt takes no vectors, and may set errno
#if defined __AVX512F__
  return _mm512_sqrt_ps(x);
#elif defined __AVX2__
  return _mm256_sqrt_ps(x);
#else
  return vsqrtq_f32(x);
#endif
}

// y = LayerNorm(x), [channels, GROUP]; y may alias x.
NOINLINE inline void layer_norm(Weights norm, float eps, long channels, const float *x, float *y) {
  for (int lane = 0; lane < GROUP; lane += LANES) {
    Floats mean = {}, variance = {};
    for (long c = 0; c < channels; c++) mean += load(x + c * GROUP + lane);
    mean /= (float)channels;
    for (long c = 0; c < channels; c++) {
      const Floats deviation = load(x + c * GROUP + lane) - mean;
      variance += deviation * deviation;
    }
    variance = variance / (float)channels + eps;
    const Floats factor = 1 / square_root(variance);
    for (long c = 0; c < channels; c++) {
      const Floats normal = (load(x + c * GROUP + lane) - mean) * factor;
      store(y + c * GROUP + lane, normal * norm.weight[c] + norm.bias[c]);
    }
  }
}

// x * (1 + erf(x / sqrt(2))) / 2, absolute error 7e-7: erf by Abramowitz and Stegun, 7.1.28, without cancellation.
inline Floats gelu(Floats x) {
  const Floats size = minimum(Floats{} + 9, maximum(x, -x)), s = size * 0.70710678f;
  Floats p = s * 4.30638e-5f + 2.765672e-4f;
  p = p * s + 1.520143e-4f;
  p = p * s + 9.2705272e-3f;
  p = p * s + 4.22820123e-2f;
  p = p * s + 7.05230784e-2f;
  p = p * s + 1;
  p *= p;
  p *= p;
  p *= p;
  p *= p;
  return maximum(x, Floats{}) - 0.5f * size * reciprocal(p);
}

// y [out, GROUP] = gelu(linear(x)).
NOINLINE inline void gelu_linear(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x, [=](long c, int lane, Floats value) { store(y + c * GROUP + lane, gelu(value)); });
}

// Keys and values for `attend`: groups [rows, GROUP] that hold the channels of keys in some rows, of values in others.
struct KeysAndValues {
  const float *groups;
  long rows, key, value;                                     // first row of the keys, of the values
  long tokens;                                               // including invalid ones
  const uint8_t *valid;                                      // [tokens], 0 for tokens to leave out; null: all count
  const float *extra_key = nullptr, *extra_value = nullptr;  // [width] of one more token, or null
  float extra_count = 1;                                     // its multiplicity
};

// Softmax attention of one head: query [width, GROUP] -> out [width, GROUP]. scores: room for (KEY_STEP + 1) * GROUP.
NOINLINE inline void attend(const KeysAndValues &to, long width, const float *query, float *scores, float *out) {
  const float scale = 1.44269504f / std::sqrt((float)width);  // exp2 is faster than exp
  float largest[GROUP], total[GROUP] = {};
  std::fill_n(largest, GROUP, LOWEST_SCORE);
  std::fill_n(out, width * GROUP, 0);
  Product<Float32> product;
  for (long from = 0; from < to.tokens; from += KEY_STEP) {
    const long keys = std::min(KEY_STEP, to.tokens - from);
    for (long k = 0; k < keys; k += GROUP) {
      const float *group = to.groups + (from + k) * to.rows;
      product(std::min<long>(GROUP, keys - k), (const Word *)group + to.key * GROUP, 1, GROUP, (const Word *)query,
              width, scores + k * GROUP, false);
    }
    for (long k = 0; to.valid && k < keys; k++)
      if (!to.valid[from + k]) std::fill_n(scores + k * GROUP, GROUP, -INFINITY);
    long extra = 0;
    if (to.extra_key && from + keys == to.tokens) {
      product(extra = 1, (const Word *)to.extra_key, 0, 1, (const Word *)query, width, scores + keys * GROUP, false);
      // n equal tokens weigh as much as one whose score is higher by log n.
      const float weight = std::log2(to.extra_count) / scale;
      for (int lane = 0; lane < GROUP; lane++) scores[keys * GROUP + lane] += weight;
    }
    online_softmax<Float32>(scores, keys + extra, scale, scores, largest, total, out, width);
    product(width, (const Word *)to.groups + (from * to.rows + to.value * GROUP), GROUP, 1, (const Word *)scores, keys,
            out, true, GROUP * to.rows);
    if (extra) product(width, (const Word *)to.extra_value, 1, 1, (const Word *)scores + keys * GROUP, 1, out, true);
  }
  for (int lane = 0; lane < GROUP; lane += LANES) {
    const Floats factor = 1 / load(total + lane);
    for (long c = 0; c < width; c++) store(out + c * GROUP + lane, load(out + c * GROUP + lane) * factor);
  }
}

// Rows [channels] of tokens -> a group [channels, GROUP]. row_of(lane) is null for missing tokens, which become zeros.
template <class RowOf>
NOINLINE void gather(RowOf row_of, long channels, float *group) {
  for (int lane = 0; lane < GROUP; lane += LANES)
    transpose_rows([&](int i) { return (const Word *)row_of(lane + i); }, channels, (Word *)group + lane);
}

// The inverse of `gather`; row_of(lane) is null for lanes to skip.
template <class RowOf>
NOINLINE void scatter(const float *group, long channels, RowOf row_of) {
  for (int lane = 0; lane < GROUP; lane += LANES) {
    float *rows[LANES];
    for (int i = 0; i < LANES; i++) rows[i] = row_of(lane + i);
    for (long c = 0; c < channels; c += LANES) {
      const long count = std::min<long>(LANES, channels - c);
      Ints r[LANES] = {};
      if (count == LANES)
        for (long i = 0; i < LANES; i++) r[i] = (Ints)load(group + (c + i) * GROUP + lane);
      else
        for (long i = 0; i < count; i++) r[i] = (Ints)load(group + (c + i) * GROUP + lane);
      transpose(r);
      for (int i = 0; i < LANES; i++)
        if (rows[i] && count == LANES)
          store(rows[i] + c, (Floats)r[i]);
        else if (rows[i])
          memcpy(rows[i] + c, &r[i], sizeof(float) * count);
    }
  }
}

// Group number `group` of rows [count, channels]; the last may be partly filled.
NOINLINE inline void read(const float *rows, long count, long group, long channels, float *to) {
  gather(
      [=](long lane) {
        const long index = group * GROUP + lane;
        return index < count ? rows + index * channels : nullptr;
      },
      channels, to);
}

NOINLINE inline void write(const float *from, long count, long group, long channels, float *rows) {
  scatter(from, channels, [=](long lane) {
    const long index = group * GROUP + lane;
    return index < count ? rows + index * channels : nullptr;
  });
}

}  // namespace
