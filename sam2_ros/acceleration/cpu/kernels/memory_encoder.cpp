// The memory encoder: mask logits are enlarged and convolved down to the grid of tokens, added to the image's features,
// and what two blocks with 7x7 neighbourhoods make of it is narrowed to a memory.
//
// The lanes are those of tokens from the mask on: a token is 16x16 pixels of it, then 8x8, 4x4, 2x2 and 1 behind the
// convolutions. Their maps are [place within the token, channel, tokens]. What a convolution with stride 2 looks at is
// of the same token or of those to the left and above, so it is read 1, or a row, before: nothing is transposed, and
// no lanes are idle, however long rows are.
//
// Neighbourhoods of 7x7 are summed with channels in the lanes, which takes no loads but the neighbours' own.

#include "transformer.h"

namespace {

constexpr long WIDTHS[] = {1, 4, 16, 64, 256};  // channels of the mask, and behind each convolution
constexpr long SEEN = 17;                       // pixels of a token on each axis, and the one before
constexpr long ACROSS = 8;                      // tokens side by side whose neighbourhoods are summed at once

struct Convolution {
  Weights weights, norm;
};

struct Fuser {
  Weights depthwise, norm, up, down;
};

// As in memory_encoder.py.
struct Encoder {
  const float *features;    // [images, height, width, dim]
  const float *logits;      // [objects, 4 height, 4 width]
  const uint8_t *prompted;  // [objects]
  float *out;               // [objects, height, width, memory_dim]
  long images, objects, height, width, dim, memory_dim, threads;
  float eps;
  Convolution convolutions[4];
  Weights mask, pixels;  // of 1x1 convolutions
  Fuser fusers[2];
  Weights narrow;
  const float *scales[2];  // of what the fusers add

  long tokens() const { return height * width; }
  long groups() const { return groups_of(tokens()); }

  // A token's channels, as whole vectors.
  long row() const { return (dim + LANES - 1) / LANES * LANES; }

  // Zeros ahead of a channel's tokens in a map, for what is above and to the left of the first; and both.
  long ahead() const { return (width + LANES) / LANES * LANES; }
  long pitch() const { return ahead() + groups() * GROUP; }

  // What an object takes, whether as a map or as rows.
  long size() const { return std::max(WIDTHS[4] * pitch(), tokens() * row()); }
};

// All bits of the lanes whose token has one to the left, one above.
struct Neighbours {
  Ints left[VECTORS], above[VECTORS];

  Neighbours(const Encoder &encoder, long group) {
    for (long lane = 0; lane < GROUP; lane++) {
      const long token = group * GROUP + lane;
      left[lane / LANES][lane % LANES] = -(token % encoder.width > 0);
      above[lane / LANES][lane % LANES] = -(token >= encoder.width);
    }
  }
};

// What is encoded of an enlarged mask: -10 .. 10.
inline Floats encoded(Floats x, bool prompted) {
  if (prompted) return x > Floats{} ? Floats{} + 10 : Floats{} - 10;
  const Floats size = larger(x, -x);
  const Floats power = Float32::power_of_two(larger(Floats{} + LEAST, -1.44269504f * size));
  const Floats found = 10 * (1 - power) * reciprocal(1 + power);  // 20 sigmoid - 10
  return x > Floats{} ? found : x < Floats{} ? -found : x;
}

// A group's pixels and those before them, [SEEN, SEEN, GROUP]: zeros beyond the edges.
APART void enlarge(const Encoder &encoder, long object, long group, float *pixels) {
  const long height = 4 * encoder.height, width = 4 * encoder.width;
  const float *logits = encoder.logits + object * height * width;
  alignas(64) float seen[6][6][GROUP], line[6][GROUP];  // a token's 4x4 logits and those around them
  for (long lane = 0; lane < GROUP; lane++) {
    const long token = std::min(group * GROUP + lane, encoder.tokens() - 1);
    const long top = token / encoder.width * 4 - 1, left = token % encoder.width * 4 - 1;
    for (long i = 0; i < 6; i++) {
      const float *row = logits + std::clamp(top + i, 0l, height - 1) * width;
      for (long j = 0; j < 6; j++) seen[i][j][lane] = row[std::clamp(left + j, 0l, width - 1)];
    }
  }
  auto between = [](const float *from, long step, long pixel) {
    const float at = (pixel + 1.5f) / 4, part = at - (long)at;
    from += (long)at * step;
    return load(from) * (1 - part) + load(from + step) * part;
  };
  const Neighbours there(encoder, group);
  for (long y = 0; y < SEEN; y++)
    for (long i = 0; i < VECTORS; i++) {
      const long lane = i * LANES;
      for (long j = 0; j < 6; j++) store(line[j] + lane, between(seen[0][j] + lane, 6 * GROUP, y));
      for (long x = 0; x < SEEN; x++) {
        Ints pixel = (Ints)encoded(between(line[0] + lane, GROUP, x), encoder.prompted[object]);
        if (!x) pixel &= there.left[i];
        if (!y) pixel &= there.above[i];
        store(pixels + (y * SEEN + x) * GROUP + lane, (Floats)pixel);
      }
    }
}

// Norm and gelu of what a convolution makes of x [9 in, GROUP]; y [out, GROUP] is room, and may be where they go:
// channels are so many floats apart there.
APART void convolve(const Encoder &encoder, long index, const float *x, float *y, float *to, long apart) {
  const Convolution &by = encoder.convolutions[index];
  const long channels = WIDTHS[index + 1];
  linear_to(by.weights, WIDTHS[index] * 9, channels, x, y);
  layer_norm(by.norm, encoder.eps, channels, y, y);
  for (long c = 0; c < channels; c++)
    for (int lane = 0; lane < GROUP; lane += LANES) store(to + c * apart + lane, gelu(load(y + c * GROUP + lane)));
}

// The same for one place of a group in a map.
APART void convolve_place(const Encoder &encoder, long index, const float *x, float *y, long place, long group,
                          float *map) {
  const long channels = WIDTHS[index + 1], pitch = encoder.pitch(), ahead = encoder.ahead();
  float *to = map + place * channels * pitch;
  if (!group)
    for (long c = 0; c < channels; c++) std::fill_n(to + c * pitch, ahead, 0);
  convolve(encoder, index, x, y, to + ahead + group * GROUP, pitch);
}

// The first convolution: a group's part of [8, 8, 4, tokens].
APART void convolve_mask(const Encoder &encoder, long object, long group, float *maps) {
  static thread_local Room room;
  float *pixels = room.of((SEEN * SEEN + 9 + WIDTHS[1]) * GROUP), *x = pixels + SEEN * SEEN * GROUP, *y = x + 9 * GROUP;
  enlarge(encoder, object, group, pixels);
  for (long place = 0; place < 64; place++) {
    const float *from = pixels + (place / 8 * 2 * SEEN + place % 8 * 2) * GROUP;
    for (long i = 0; i < 3; i++) memcpy(x + 3 * i * GROUP, from + i * SEEN * GROUP, sizeof(float) * 3 * GROUP);
    convolve_place(encoder, 0, x, y, place, group, maps + object * encoder.size());
  }
}

// What a later convolution looks at for a place of a group: [9 in, GROUP], from a map [side, side, in, tokens].
APART void look(const Encoder &encoder, long in, long side, const float *map, long place, long group, float *x) {
  const Neighbours there(encoder, group);
  const long pitch = encoder.pitch(), top = place / (side / 2) * 2 - 1, left = place % (side / 2) * 2 - 1;
  for (long tap = 0; tap < 9; tap++) {
    const long row = top + tap / 3, column = left + tap % 3;
    const float *from = map + ((row + side) % side * side + (column + side) % side) * in * pitch + encoder.ahead() +
                        group * GROUP - (row < 0) * encoder.width - (column < 0);
    for (int i = 0; i < VECTORS; i++) {
      const Ints kept = column < 0 ? there.left[i] : Ints{} - 1;
      for (long c = 0; c < in; c++)
        store(x + (c * 9 + tap) * GROUP + i * LANES, (Floats)((Ints)load(from + c * pitch + i * LANES) & kept));
    }
  }
}

// The second and third.
APART void convolve_map(const Encoder &encoder, long index, const float *maps, long object, long group, float *to) {
  static thread_local Room room;
  const long in = WIDTHS[index], side = 16 >> index, from = object * encoder.size();
  float *x = room.of((9 * in + WIDTHS[index + 1]) * GROUP), *y = x + 9 * in * GROUP;
  for (long place = 0; place < side * side / 4; place++) {
    look(encoder, in, side, maps + from, place, group, x);
    convolve_place(encoder, index, x, y, place, group, to + from);
  }
}

// Where the rows of a group's tokens are, null for those that are missing.
template <class Value>
auto rows(const Encoder &encoder, long group, Value *map, long row) {
  return [=, tokens = encoder.tokens()](long lane) {
    const long token = group * GROUP + lane;
    return token < tokens ? map + token * row : nullptr;
  };
}

// Features of all images -> groups [dim, GROUP].
APART void project(const Encoder &encoder, long image, long group, float *to) {
  static thread_local Room room;
  const long dim = encoder.dim;
  float *x = room.of(dim * GROUP);
  gather(rows(encoder, group, encoder.features + image * encoder.tokens() * dim, dim), dim, x);
  linear_to(encoder.pixels, dim, dim, x, to + (image * encoder.groups() + group) * dim * GROUP);
}

// The last convolution, and the sum with the features: rows.
APART void add_mask(const Encoder &encoder, const float *maps, const float *features, long object, long group,
                    float *to) {
  static thread_local Room room;
  const long in = WIDTHS[3], channels = WIDTHS[4], dim = encoder.dim, from = object * encoder.size();
  float *x = room.of((9 * in + channels + dim) * GROUP), *y = x + 9 * in * GROUP, *sum = y + channels * GROUP;
  look(encoder, in, 2, maps + from, 0, group, x);
  convolve(encoder, 3, x, y, y, GROUP);
  const long of_image = object % encoder.images * encoder.groups() + group;
  memcpy(sum, features + of_image * dim * GROUP, sizeof(float) * dim * GROUP);
  add_linear(encoder.mask, channels, dim, y, sum);
  scatter(sum, dim, rows(encoder, group, to + from, encoder.row()));
}

// Weights of neighbourhoods, [dim, 49], and bias -> rows [50, row].
void turn_taps(const Encoder &encoder, Weights depthwise, float *to) {
  const long row = encoder.row();
  std::fill_n(to, 50 * row, 0);
  for (long c = 0; c < encoder.dim; c++) {
    for (long tap = 0; tap < 49; tap++) to[tap * row + c] = depthwise.weight[c * 49 + tap];
    to[49 * row + c] = depthwise.bias[c];
  }
}

// Sums over the neighbourhoods of up to ACROSS tokens side by side: rows.
APART void depthwise(const Encoder &encoder, const float *map, const float *taps, long token, long count, float *to) {
  const long row = encoder.row(), width = encoder.width, y = token / width, x = token % width;
  for (long c = 0; c < row; c += LANES) {
    Floats sums[ACROSS];
    for (long i = 0; i < ACROSS; i++) sums[i] = load(taps + 49 * row + c);
    for (long tap = std::max(0l, 3 - y); tap < std::min(7l, encoder.height + 3 - y); tap++) {
      Floats weights[7];
      for (long i = 0; i < 7; i++) weights[i] = load(taps + (tap * 7 + i) * row + c);
#pragma GCC unroll 14
      for (long i = 0; i < ACROSS + 6; i++) {
        const long column = x + i - 3;
        if (column < 0 || column >= width) continue;
        const Floats value = load(map + ((y + tap - 3) * width + column) * row + c);
#pragma GCC unroll 8
        for (long j = 0; j < ACROSS; j++)
          if (i >= j && i - j < 7) sums[j] += value * weights[i - j];
      }
    }
    for (long i = 0; i < count; i++) store(to + i * row + c, sums[i]);
  }
}

// A block of the fuser, and what comes behind the last.
APART void fuse(const Encoder &encoder, long index, const float *maps, const float *taps, long object, long group,
                float *to) {
  static thread_local Room room;
  const Fuser &fuser = encoder.fusers[index];
  const long dim = encoder.dim, row = encoder.row(), from = object * encoder.size();
  float *sums = room.of((row + 6 * dim + encoder.memory_dim) * GROUP), *x = sums + row * GROUP, *y = x + dim * GROUP,
        *hidden = y + dim * GROUP, *narrow = hidden + 4 * dim * GROUP;
  const long tokens = std::min<long>(GROUP, encoder.tokens() - group * GROUP);
  for (long lane = 0, count; lane < tokens; lane += count) {
    const long token = group * GROUP + lane;
    count = std::min({ACROSS, encoder.width - token % encoder.width, tokens - lane});
    depthwise(encoder, maps + from, taps + index * 50 * row, token, count, sums + lane * row);
  }
  gather([=](long lane) { return lane < tokens ? sums + lane * row : nullptr; }, dim, x);
  layer_norm(fuser.norm, encoder.eps, dim, x, x);
  gelu_linear(fuser.up, dim, 4 * dim, x, hidden);
  gather(rows(encoder, group, maps + from, row), dim, y);
  linear(fuser.down, 4 * dim, dim, hidden, [=, scale = encoder.scales[index]](long c, int lane, Floats more) {
    float *sum = y + c * GROUP + lane;
    store(sum, load(sum) + scale[c] * more);
  });
  if (!index) {
    scatter(y, dim, rows(encoder, group, to + from, row));
    return;
  }
  linear_to(encoder.narrow, dim, encoder.memory_dim, y, narrow);
  float *out = encoder.out + object * encoder.tokens() * encoder.memory_dim;
  scatter(narrow, encoder.memory_dim, rows(encoder, group, out, encoder.memory_dim));
}

}  // namespace

extern "C" void encode_memory(const Encoder *given) {
  static thread_local Room room;
  const Encoder &encoder = *given;
  const long groups = encoder.groups(), work = encoder.objects * groups, size = encoder.objects * encoder.size();
  float *here = room.of(2 * size + encoder.images * groups * encoder.dim * GROUP + 2 * 50 * encoder.row());
  float *there = here + size, *taps = there + size, *features = taps + 2 * 50 * encoder.row();
  for (long index = 0; index < 2; index++)
    turn_taps(encoder, encoder.fusers[index].depthwise, taps + index * 50 * encoder.row());
#pragma omp parallel num_threads(encoder.threads)
  {
#pragma omp for schedule(dynamic) nowait
    for (long i = 0; i < encoder.images * groups; i++) project(encoder, i / groups, i % groups, features);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) convolve_mask(encoder, i / groups, i % groups, here);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) convolve_map(encoder, 1, here, i / groups, i % groups, there);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) convolve_map(encoder, 2, there, i / groups, i % groups, here);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) add_mask(encoder, here, features, i / groups, i % groups, there);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) fuse(encoder, 0, there, taps, i / groups, i % groups, here);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) fuse(encoder, 1, here, taps, i / groups, i % groups, there);
  }
}
