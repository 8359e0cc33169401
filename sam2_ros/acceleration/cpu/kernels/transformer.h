// What transformers consist of, for one group of tokens at a time: float32 [channels, GROUP] in the first caches, from
// which only the weights have to be fetched.

#pragma once

#include "lanes.h"

namespace {

// a + b, [channels, GROUP], which may be where the sum goes.
APART inline void add(const float *a, const float *b, long channels, float *sum) {
  for (long i = 0; i < channels * GROUP; i += LANES) store(sum + i, load(a + i) + load(b + i));
}

// Weight [out, in] and bias [out], as PyTorch has them; of norms [channels].
struct Weights {
  const float *weight, *bias;
};

// x [in, GROUP]: then(channel, lane, values) is given the sums with their bias.
template <class Then>
APART void linear(Weights layer, long in, long out, const float *x, Then then) {
  multiply<Float32>(out, (const Word *)layer.weight, in, 1, GROUP, (const Word *)x, in,
                    [&](long c, int lane, Floats y) { then(c, lane, y + layer.bias[c]); });
}

// To y [out, GROUP].
APART inline void linear_to(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x, [=](long c, int lane, Floats value) { store(y + c * GROUP + lane, value); });
}

APART inline void add_linear(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x, [=](long c, int lane, Floats more) {
    float *to = y + c * GROUP + lane;
    store(to, load(to) + more);
  });
}

// And "relu" of it.
APART inline void relu_linear(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x,
         [=](long c, int lane, Floats value) { store(y + c * GROUP + lane, larger(Floats{}, value)); });
}

inline Floats root(Floats x) {  // std::sqrt is not for vectors: it may set errno
#if defined __AVX512F__
  return _mm512_sqrt_ps(x);
#elif defined __AVX2__
  return _mm256_sqrt_ps(x);
#else
  return vsqrtq_f32(x);
#endif
}

// x and y [channels, GROUP], which may be the same.
APART inline void layer_norm(Weights norm, float eps, long channels, const float *x, float *y) {
  for (int lane = 0; lane < GROUP; lane += LANES) {
    Floats mean = {}, variance = {};
    for (long c = 0; c < channels; c++) mean += load(x + c * GROUP + lane);
    mean /= (float)channels;
    for (long c = 0; c < channels; c++) {
      const Floats apart = load(x + c * GROUP + lane) - mean;
      variance += apart * apart;
    }
    variance = variance / (float)channels + eps;
    const Floats factor = 1 / root(variance);
    for (long c = 0; c < channels; c++) {
      const Floats normal = (load(x + c * GROUP + lane) - mean) * factor;
      store(y + c * GROUP + lane, normal * norm.weight[c] + norm.bias[c]);
    }
  }
}

// x * (1 + erf(x / sqrt(2))) / 2, to 7e-7: erf by Abramowitz and Stegun, 7.1.28, without taking close numbers apart.
inline Floats gelu(Floats x) {
  const Floats size = smaller(Floats{} + 9, larger(x, -x)), s = size * 0.70710678f;
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
  return larger(x, Floats{}) - 0.5f * size * reciprocal(p);
}

// To y [out, GROUP], and gelu of it.
APART inline void gelu_linear(Weights layer, long in, long out, const float *x, float *y) {
  linear(layer, in, out, x, [=](long c, int lane, Floats value) { store(y + c * GROUP + lane, gelu(value)); });
}

// Keys and values of tokens that attend to each other: groups [rows, GROUP], of which some rows are the keys' channels,
// others the values'.
struct Attended {
  const float *groups;
  long rows, key, value;        // the first row of keys, of values
  long tokens;                  // in groups, holes among them
  const uint8_t *there;         // [tokens], 0 for holes; or null: there are none
  const float *more_key = nullptr, *more_value = nullptr;  // one more token: [width]
  float times = 1;              // how often it is there
};

// Softmax attention of one head: query [width, GROUP] -> out [width, GROUP].
APART inline void attend(const Attended &to, long width, const float *query, float *scores, float *out) {
  const float scale = 1.44269504f / std::sqrt((float)width);  // powers of two are the faster ones
  float largest[GROUP], total[GROUP] = {};
  std::fill_n(largest, GROUP, LOW);
  std::fill_n(out, width * GROUP, 0);
  Product<Float32> product;
  for (long from = 0; from < to.tokens; from += STEP) {
    const long keys = std::min(STEP, to.tokens - from);
    for (long k = 0; k < keys; k += GROUP) {
      const float *group = to.groups + (from + k) * to.rows;
      product(std::min<long>(GROUP, keys - k), (const Word *)group + to.key * GROUP, 1, GROUP, (const Word *)query, width,
              scores + k * GROUP, false);
    }
    for (long k = 0; to.there && k < keys; k++)
      if (!to.there[from + k]) std::fill_n(scores + k * GROUP, GROUP, -INFINITY);
    long more = 0;
    if (to.more_key && from + keys == to.tokens) {
      product(more = 1, (const Word *)to.more_key, 0, 1, (const Word *)query, width, scores + keys * GROUP, false);
      const float weight = std::log2(to.times) / scale;  // a sum of equal weights
      for (int lane = 0; lane < GROUP; lane++) scores[keys * GROUP + lane] += weight;
    }
    weigh<Float32>(scores, keys + more, scale, scores, largest, total, out, width);
    product(width, (const Word *)to.groups + (from * to.rows + to.value * GROUP), GROUP, 1, (const Word *)scores, keys, out,
            true, GROUP * to.rows);
    if (more)
      product(width, (const Word *)to.more_value, 1, 1, (const Word *)scores + keys * GROUP, 1, out, true);
  }
  for (int lane = 0; lane < GROUP; lane += LANES) {
    const Floats factor = 1 / load(total + lane);
    for (long c = 0; c < width; c++) store(out + c * GROUP + lane, load(out + c * GROUP + lane) * factor);
  }
}

// Tokens' channels -> a group [channels, GROUP]; row_of(lane) is null for what is missing: zeros.
template <class RowOf>
APART void gather(RowOf row_of, long channels, float *group) {
  for (int lane = 0; lane < GROUP; lane += LANES)
    turn([&](int i) { return (const Word *)row_of(lane + i); }, channels, (Word *)group + lane);
}

// And back; row_of(lane) is null for what nobody wants.
template <class RowOf>
APART void scatter(const float *group, long channels, RowOf row_of) {
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

// Rows [count, channels] in groups of GROUP, of which the last may have fewer.
APART inline void read(const float *rows, long count, long group, long channels, float *to) {
  gather(
      [=](long lane) {
        const long index = group * GROUP + lane;
        return index < count ? rows + index * channels : nullptr;
      },
      channels, to);
}

APART inline void write(const float *from, long count, long group, long channels, float *rows) {
  scatter(from, channels, [=](long lane) {
    const long index = group * GROUP + lane;
    return index < count ? rows + index * channels : nullptr;
  });
}

}  // namespace
