// A layer of memory attention, but for the look at memory itself: what comes before it, its keys, and what comes after.

#include "transformer.h"

namespace {

// As in memory_attention.py. Tokens of a grid of cells, one after the other, in each of the batch.
struct Layer {
  const float *x;         // [batch, cells, channels]
  float *out, *query;     // what x becomes; what it asks memory with
  const float *rotation;  // [cells, channels]: cosine and sine for each pair of channels
  long batch, cells, channels, threads;
  float eps;
  Weights norm1, query_within, key_within, value_within, out_within, norm2, query_of_memory;
};

struct Keys {
  const float *tokens;  // [batch, tokens, in]
  float *out;           // [batch, tokens, channels]
  const float *rotation;
  long batch, count, placed, cells, in, channels, threads;  // so many of the tokens have a place in the grid
  Weights key;
};

struct Rest {
  const float *x;      // [batch or 1, cells, channels]
  const float *found;  // in memory: [batch, cells, width]
  float *out;          // [batch, cells, channels]
  long batch, of_x, cells, channels, width, hidden, threads;
  float eps;
  Weights value_of_memory, out_of_memory, norm3, up, down;
};

// Neighbouring channels of x [channels, GROUP] are a complex number each; so are those of turns, by which to multiply.
APART void rotate(const float *turns, long channels, float *x) {
  for (long i = 0; i < channels * GROUP; i += 2 * GROUP)
    for (int lane = 0; lane < GROUP; lane += LANES) {
      const Floats a = load(x + i + lane), b = load(x + i + GROUP + lane);
      const Floats cosine = load(turns + i + lane), sine = load(turns + i + GROUP + lane);
      store(x + i + lane, a * cosine - b * sine);
      store(x + i + GROUP + lane, a * sine + b * cosine);
    }
}

}  // namespace

extern "C" {

void attend_within(const Layer *given) {
  const Layer &layer = *given;
  const long c = layer.channels, groups = groups_of(layer.cells), each = 3 * c * GROUP;
  static thread_local Room said_by_all;
  float *said = said_by_all.of(layer.batch * groups * each);  // queries, keys, values of a group
#pragma omp parallel num_threads(layer.threads)
  {
    static thread_local Room room;
    float *x = room.of((3 * c + STEP + 1) * GROUP), *found = x + c * GROUP, *turns = found + c * GROUP;
    float *scores = turns + c * GROUP;
#pragma omp for schedule(dynamic)
    for (long i = 0; i < layer.batch * groups; i++) {
      float *own = said + i * each;
      const long group = i % groups, first = i / groups * layer.cells * c;
      read(layer.x + first, layer.cells, group, c, x);
      read(layer.rotation, layer.cells, group, c, turns);
      layer_norm(layer.norm1, layer.eps, c, x, x);
      linear_to(layer.query_within, c, c, x, own);
      linear_to(layer.key_within, c, c, x, own + c * GROUP);
      linear_to(layer.value_within, c, c, x, own + 2 * c * GROUP);
      rotate(turns, c, own);
      rotate(turns, c, own + c * GROUP);
    }
#pragma omp for schedule(dynamic)
    for (long i = 0; i < layer.batch * groups; i++) {
      const long group = i % groups, first = i / groups * layer.cells * c;
      const Attended to = {said + i / groups * groups * each, 3 * c, c, 2 * c, layer.cells, nullptr};
      attend(to, c, said + i * each, scores, found);
      read(layer.x + first, layer.cells, group, c, x);
      read(layer.rotation, layer.cells, group, c, turns);
      add_linear(layer.out_within, c, c, found, x);
      write(x, layer.cells, group, c, layer.out + first);
      layer_norm(layer.norm2, layer.eps, c, x, x);
      linear_to(layer.query_of_memory, c, c, x, found);
      rotate(turns, c, found);
      write(found, layer.cells, group, c, layer.query + first);
    }
  }
}

void keys_of_memory(const Keys *given) {
  const Keys &keys = *given;
  const long groups = groups_of(keys.count), c = keys.channels;
#pragma omp parallel for num_threads(keys.threads) schedule(dynamic)
  for (long i = 0; i < keys.batch * groups; i++) {
    static thread_local Room room;
    float *x = room.of((keys.in + 2 * c) * GROUP), *key = x + keys.in * GROUP, *turns = key + c * GROUP;
    const long group = i % groups, first = i / groups * keys.count;
    read(keys.tokens + first * keys.in, keys.count, group, keys.in, x);
    gather(
        [&](long lane) {
          const long token = group * GROUP + lane;
          return token < keys.placed ? keys.rotation + token % keys.cells * c : nullptr;
        },
        c, turns);
    for (long lane = std::max(0L, keys.placed - group * GROUP); lane < GROUP; lane++)
      for (long pair = 0; pair < c; pair += 2) turns[pair * GROUP + lane] = 1;  // they are not turned
    linear_to(keys.key, keys.in, c, x, key);
    rotate(turns, c, key);
    write(key, keys.count, group, c, keys.out + first * c);
  }
}

void after_memory(const Rest *given) {
  const Rest &rest = *given;
  const long groups = groups_of(rest.cells), c = rest.channels;
#pragma omp parallel for num_threads(rest.threads) schedule(dynamic)
  for (long i = 0; i < rest.batch * groups; i++) {
    static thread_local Room room;
    float *x = room.of((2 * c + rest.width + rest.hidden) * GROUP), *y = x + c * GROUP, *found = y + c * GROUP;
    float *hidden = found + rest.width * GROUP;
    const long item = i / groups, group = i % groups;
    read(rest.x + item % rest.of_x * rest.cells * c, rest.cells, group, c, x);
    read(rest.found + item * rest.cells * rest.width, rest.cells, group, rest.width, found);
    linear_to(rest.value_of_memory, rest.width, c, found, y);
    add_linear(rest.out_of_memory, c, c, y, x);
    layer_norm(rest.norm3, rest.eps, c, x, y);
    relu_linear(rest.up, c, rest.hidden, y, hidden);
    add_linear(rest.down, rest.hidden, c, hidden, x);
    write(x, rest.cells, group, c, rest.out + item * rest.cells * c);
  }
}
}
