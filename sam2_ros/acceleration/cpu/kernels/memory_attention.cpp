// A layer of memory attention without the cross-attention itself (attention.cpp): what precedes it, its keys, and what
// follows it.

#include "transformer.h"

namespace {

// Mirror the structures of memory_attention.py. Tokens of a grid are in row-major order.
struct Before {
  const float *x;         // [batch, cells, channels]
  float *out, *query;     // x after self-attention; queries of cross-attention
  const float *rotation;  // [cells, channels]: cosine and sine of each pair of channels
  long batch, cells, channels, threads;
  float eps;
  Weights norm1, self_query, self_key, self_value, self_out, norm2, cross_query;
};

struct Keys {
  const float *tokens;  // [batch, tokens, in]
  float *out;           // [batch, tokens, channels]
  const float *rotation;
  long batch, count, spatial, cells, in, channels, threads;  // spatial: tokens of maps; the rest are object pointers
  Weights key;
};

struct After {
  const float *x;         // [batch or 1, cells, channels]
  const float *attended;  // mean of memory values: [batch, cells, width]
  float *out;             // [batch, cells, channels]
  long batch, x_batch, cells, channels, width, hidden, threads;
  float eps;
  Weights cross_value, cross_out, norm3, up, down;
};

// Rotary embedding: pairs of channels of x [channels, GROUP] are multiplied as complex numbers by those of rotation.
NOINLINE void rotate(const float *rotation, long channels, float *x) {
  for (long i = 0; i < channels * GROUP; i += 2 * GROUP)
    for (int lane = 0; lane < GROUP; lane += LANES) {
      const Floats a = load(x + i + lane), b = load(x + i + GROUP + lane);
      const Floats cosine = load(rotation + i + lane), sine = load(rotation + i + GROUP + lane);
      store(x + i + lane, a * cosine - b * sine);
      store(x + i + GROUP + lane, a * sine + b * cosine);
    }
}

}  // namespace

extern "C" {

void before_cross_attention(const Before *arguments) {
  const Before &before = *arguments;
  const long c = before.channels, groups = groups_of(before.cells), group_floats = 3 * c * GROUP;
  static thread_local Scratch projected_scratch;
  // Queries, keys and values of each group.
  float *projected = projected_scratch.floats(before.batch * groups * group_floats);
#pragma omp parallel num_threads(before.threads)
  {
    static thread_local Scratch scratch;
    float *x = scratch.floats((3 * c + KEY_STEP + 1) * GROUP), *attended = x + c * GROUP,
          *rotation = attended + c * GROUP;
    float *scores = rotation + c * GROUP;
#pragma omp for schedule(dynamic)
    for (long i = 0; i < before.batch * groups; i++) {
      float *own = projected + i * group_floats;
      const long group = i % groups, first = i / groups * before.cells * c;
      read(before.x + first, before.cells, group, c, x);
      read(before.rotation, before.cells, group, c, rotation);
      layer_norm(before.norm1, before.eps, c, x, x);
      linear_to(before.self_query, c, c, x, own);
      linear_to(before.self_key, c, c, x, own + c * GROUP);
      linear_to(before.self_value, c, c, x, own + 2 * c * GROUP);
      rotate(rotation, c, own);
      rotate(rotation, c, own + c * GROUP);
    }
#pragma omp for schedule(dynamic)
    for (long i = 0; i < before.batch * groups; i++) {
      const long group = i % groups, first = i / groups * before.cells * c;
      const KeysAndValues to = {projected + i / groups * groups * group_floats, 3 * c, c, 2 * c, before.cells, nullptr};
      attend(to, c, projected + i * group_floats, scores, attended);
      read(before.x + first, before.cells, group, c, x);
      read(before.rotation, before.cells, group, c, rotation);
      add_linear(before.self_out, c, c, attended, x);
      write(x, before.cells, group, c, before.out + first);
      layer_norm(before.norm2, before.eps, c, x, x);
      linear_to(before.cross_query, c, c, x, attended);
      rotate(rotation, c, attended);
      write(attended, before.cells, group, c, before.query + first);
    }
  }
}

void memory_keys(const Keys *arguments) {
  const Keys &keys = *arguments;
  const long groups = groups_of(keys.count), c = keys.channels;
#pragma omp parallel for num_threads(keys.threads) schedule(dynamic)
  for (long i = 0; i < keys.batch * groups; i++) {
    static thread_local Scratch scratch;
    float *x = scratch.floats((keys.in + 2 * c) * GROUP), *key = x + keys.in * GROUP, *rotation = key + c * GROUP;
    const long group = i % groups, first = i / groups * keys.count;
    read(keys.tokens + first * keys.in, keys.count, group, keys.in, x);
    gather(
        [&](long lane) {
          const long token = group * GROUP + lane;
          return token < keys.spatial ? keys.rotation + token % keys.cells * c : nullptr;
        },
        c, rotation);
    for (long lane = std::max(0L, keys.spatial - group * GROUP); lane < GROUP; lane++)
      for (long pair = 0; pair < c; pair += 2) rotation[pair * GROUP + lane] = 1;  // object pointers are not rotated
    linear_to(keys.key, keys.in, c, x, key);
    rotate(rotation, c, key);
    write(key, keys.count, group, c, keys.out + first * c);
  }
}

void after_cross_attention(const After *arguments) {
  const After &after = *arguments;
  const long groups = groups_of(after.cells), c = after.channels;
#pragma omp parallel for num_threads(after.threads) schedule(dynamic)
  for (long i = 0; i < after.batch * groups; i++) {
    static thread_local Scratch scratch;
    float *x = scratch.floats((2 * c + after.width + after.hidden) * GROUP), *y = x + c * GROUP,
          *attended = y + c * GROUP;
    float *hidden = attended + after.width * GROUP;
    const long item = i / groups, group = i % groups;
    read(after.x + item % after.x_batch * after.cells * c, after.cells, group, c, x);
    read(after.attended + item * after.cells * after.width, after.cells, group, after.width, attended);
    linear_to(after.cross_value, after.width, c, attended, y);
    add_linear(after.cross_out, c, c, y, x);
    layer_norm(after.norm3, after.eps, c, x, y);
    relu_linear(after.up, c, after.hidden, y, hidden);
    add_linear(after.down, after.hidden, c, hidden, x);
    write(x, after.cells, group, c, after.out + item * after.cells * c);
  }
}
}
