// The encoder's first layer: 7x7 patches at stride 4, and where they are.
//
// Neighbouring patches lie in the lanes. Columns of the image that are four apart are put next to each other first, so
// that what the patches of a row see at one of their places is a piece of memory.

#include "transformer.h"

namespace {

constexpr long SIDE = 7, STRIDE = 4, COLOURS = 3, PLACES = COLOURS * SIDE * SIDE;

// As in patch_embedding.py.
struct Patches {
  const float *image;     // [batch, COLOURS, height, width]
  const float *position;  // [height / STRIDE, width / STRIDE, channels]
  float *out;             // [batch, height / STRIDE, width / STRIDE, channels]
  long batch, height, width, channels, threads;
  Weights proj;
};

// Every second number of two vectors, from the first or the second on.
inline Floats every_second(Floats a, Floats b, int from) {
  Ints which;
  for (int i = 0; i < LANES; i++) which[i] = 2 * i + from;
  return __builtin_shuffle(a, b, which);
}

// A line of the image, null for none, from SIDE / 2 columns left of it on -> STRIDE lines of every so many columns,
// `count` each, whole vectors.
APART void part(const float *line, long width, long count, float *to) {
  static thread_local Room room;
  float *padded = room.of(STRIDE * count);
  std::fill_n(padded, STRIDE * count, 0);
  if (line) std::copy_n(line, width, padded + SIDE / 2);
  for (long i = 0; i < count; i += LANES) {
    const float *from = padded + STRIDE * i;
    const Floats a = load(from), b = load(from + LANES), c = load(from + 2 * LANES), d = load(from + 3 * LANES);
    for (int odd = 0; odd < 2; odd++) {
      const Floats first = every_second(a, b, odd), second = every_second(c, d, odd);
      store(to + odd * count + i, every_second(first, second, 0));
      store(to + (odd + 2) * count + i, every_second(first, second, 1));
    }
  }
}

}  // namespace

extern "C" void patch_embedding(const Patches *given) {
  const Patches &patches = *given;
  const long rows = patches.height / STRIDE, columns = patches.width / STRIDE, channels = patches.channels;
  const long count = groups_of(columns) * GROUP + LANES, lines = COLOURS * SIDE;  // SIDE / STRIDE more
#pragma omp parallel for num_threads(patches.threads) schedule(dynamic)
  for (long i = 0; i < patches.batch * rows; i++) {
    static thread_local Room room;
    float *parts = room.of(lines * STRIDE * count + (PLACES + channels) * GROUP);
    float *seen = parts + lines * STRIDE * count, *found = seen + PLACES * GROUP;
    for (long j = 0; j < lines; j++) {
      const long line = i % rows * STRIDE + j % SIDE - SIDE / 2, colour = i / rows * COLOURS + j / SIDE;
      const float *from = patches.image + (colour * patches.height + line) * patches.width;
      part(line >= 0 && line < patches.height ? from : nullptr, patches.width, count, parts + j * STRIDE * count);
    }
    float *out = patches.out + i * columns * channels;
    for (long column = 0; column < columns; column += GROUP) {
      for (long place = 0; place < PLACES; place++) {
        const long line = place / SIDE, x = place % SIDE;
        const float *from = parts + (line * STRIDE + x % STRIDE) * count + column + x / STRIDE;
        for (int lane = 0; lane < GROUP; lane += LANES) store(seen + place * GROUP + lane, load(from + lane));
      }
      linear_to(patches.proj, PLACES, channels, seen, found);
      scatter(found, channels, [&](long lane) {
        return column + lane < columns ? out + (column + lane) * channels : nullptr;
      });
    }
    const float *position = patches.position + i % rows * columns * channels;
    for (long j = 0; j < columns * channels; j++) out[j] += position[j];
  }
}
