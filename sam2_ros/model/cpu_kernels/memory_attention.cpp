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

// Rows [count, channels] in groups of GROUP, the last of which may have fewer.
struct Rows {
  const float *rows;
  long count, channels;

  const float *operator()(long index) const { return index < count ? rows + index * channels : nullptr; }
};

long groups_of(long count) { return (count + GROUP - 1) / GROUP; }

APART void read(const Rows &rows, long group, float *to) {
  gather([&](long lane) { return rows(group * GROUP + lane); }, rows.channels, to);
}

APART void write(const float *from, long group, const Rows &rows) {
  scatter(from, rows.channels, [&](long lane) { return const_cast<float *>(rows(group * GROUP + lane)); });
}

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
  const Rows rotation = {layer.rotation, layer.cells, c};
  auto rows = [&](const float *of, long item) { return Rows{of + item * layer.cells * c, layer.cells, c}; };
#pragma omp parallel num_threads(layer.threads)
  {
    static thread_local Room room;
    float *x = room.of((3 * c + STEP + 1) * GROUP), *found = x + c * GROUP, *turns = found + c * GROUP;
    float *scores = turns + c * GROUP;
#pragma omp for schedule(dynamic)
    for (long i = 0; i < layer.batch * groups; i++) {
      float *own = said + i * each;
      read(rows(layer.x, i / groups), i % groups, x);
      read(rotation, i % groups, turns);
      layer_norm(layer.norm1, layer.eps, c, x, x);
      linear_to(layer.query_within, c, c, x, own);
      linear_to(layer.key_within, c, c, x, own + c * GROUP);
      linear_to(layer.value_within, c, c, x, own + 2 * c * GROUP);
      rotate(turns, c, own);
      rotate(turns, c, own + c * GROUP);
    }
#pragma omp for schedule(dynamic)
    for (long i = 0; i < layer.batch * groups; i++) {
      const Attended to = {said + i / groups * groups * each, 3 * c, c, 2 * c, layer.cells, nullptr};
      attend(to, c, said + i * each, scores, found);
      read(rows(layer.x, i / groups), i % groups, x);
      read(rotation, i % groups, turns);
      add_linear(layer.out_within, c, c, found, x);
      write(x, i % groups, rows(layer.out, i / groups));
      layer_norm(layer.norm2, layer.eps, c, x, x);
      linear_to(layer.query_of_memory, c, c, x, found);
      rotate(turns, c, found);
      write(found, i % groups, rows(layer.query, i / groups));
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
    read({keys.tokens + first * keys.in, keys.count, keys.in}, group, x);
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
    write(key, group, {keys.out + first * c, keys.count, c});
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
    read({rest.x + item % rest.of_x * rest.cells * c, rest.cells, c}, group, x);
    read({rest.found + item * rest.cells * rest.width, rest.cells, rest.width}, group, found);
    linear_to(rest.value_of_memory, rest.width, c, found, y);
    add_linear(rest.out_of_memory, c, c, y, x);
    layer_norm(rest.norm3, rest.eps, c, x, y);
    relu_linear(rest.up, c, rest.hidden, y, hidden);
    add_linear(rest.down, rest.hidden, c, hidden, x);
    write(x, group, {rest.out + item * rest.cells * c, rest.cells, c});
  }
}
}
