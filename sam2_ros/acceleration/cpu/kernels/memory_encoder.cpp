// The memory encoder: mask logits are upsampled, convolved down to the grid of tokens, added to the image features,
// fused by two ConvNeXt blocks and projected to a memory.
//
// Lanes are tokens from the mask on: a token is 16x16 pixels of the mask, then 8x8, 4x4, 2x2 and 1 after the
// convolutions. Maps are [position within the token, channel, tokens]. A stride-2 convolution reads pixels of the same
// token or of those to the left and above, which are 1 or one row of tokens before it in memory: nothing is transposed,
// and no lane is idle, whatever the width.
//
// The depthwise 7x7 convolutions have channels in the lanes.

#include "transformer.h"

namespace {

constexpr long WIDTHS[] = {1, 4, 16, 64, 256};  // channels of the mask and after each convolution
constexpr long PATCH = 17;                      // side of a token's 16x16 pixels with the row and column before them
constexpr long TOKENS_AT_ONCE = 8;              // in a row, in the depthwise convolution

struct Convolution {
  Weights weights, norm;
};

struct Fuser {
  Weights depthwise, norm, up, down;
};

// Mirrors `Encoder` of memory_encoder.py.
struct Encoder {
  const float *features;    // [images, height, width, dim]
  const float *logits;      // [objects, 4 height, 4 width]
  const uint8_t *prompted;  // [objects]
  float *out;               // [objects, height, width, memory_dim]
  long images, objects, height, width, dim, memory_dim, threads;
  float eps;
  Convolution convolutions[4];
  Weights mask, pixels;  // 1x1 convolutions
  Fuser fusers[2];
  Weights out_proj;
  const float *scales[2];  // layer scale of each fuser

  long tokens() const { return height * width; }
  long groups() const { return groups_of(tokens()); }

  // Channels of a token, rounded up to whole vectors.
  long row() const { return (dim + LANES - 1) / LANES * LANES; }

  // Zeros before a channel's tokens in a map, for neighbours above and to the left of the first; and the whole stride.
  long padding() const { return (width + LANES) / LANES * LANES; }
  long pitch() const { return padding() + groups() * GROUP; }

  // Floats of an object, as a map or as rows.
  long size() const { return std::max(WIDTHS[4] * pitch(), tokens() * row()); }
};

// Lane masks: whether a token has a neighbour to the left, above.
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

// The mask that is encoded, from an upsampled logit: -10 .. 10.
inline Floats mask_value(Floats x, bool prompted) {
  if (prompted) return x > Floats{} ? Floats{} + 10 : Floats{} - 10;
  const Floats size = maximum(x, -x);
  const Floats power = Float32::exp2(maximum(Floats{} + MIN_EXPONENT, -1.44269504f * size));
  const Floats magnitude = 10 * (1 - power) * reciprocal(1 + power);  // 20 sigmoid - 10
  return x > Floats{} ? magnitude : x < Floats{} ? -magnitude : x;
}

// Pixels of a group's tokens with the row and column before them, zero outside the image: [PATCH, PATCH, GROUP].
NOINLINE void upsample(const Encoder &encoder, long object, long group, float *pixels) {
  const long height = 4 * encoder.height, width = 4 * encoder.width;
  const float *logits = encoder.logits + object * height * width;
  alignas(64) float window[6][6][GROUP], row_values[6][GROUP];  // a token's 4x4 logits with a border of 1
  for (long lane = 0; lane < GROUP; lane++) {
    const long token = std::min(group * GROUP + lane, encoder.tokens() - 1);
    const long top = token / encoder.width * 4 - 1, left = token % encoder.width * 4 - 1;
    for (long i = 0; i < 6; i++) {
      const float *row = logits + std::clamp(top + i, 0l, height - 1) * width;
      for (long j = 0; j < 6; j++) window[i][j][lane] = row[std::clamp(left + j, 0l, width - 1)];
    }
  }
  auto interpolate = [](const float *from, long step, long pixel) {
    const float at = (pixel + 1.5f) / 4, fraction = at - (long)at;
    from += (long)at * step;
    return load(from) * (1 - fraction) + load(from + step) * fraction;
  };
  const Neighbours neighbours(encoder, group);
  for (long y = 0; y < PATCH; y++)
    for (long i = 0; i < VECTORS; i++) {
      const long lane = i * LANES;
      for (long j = 0; j < 6; j++) store(row_values[j] + lane, interpolate(window[0][j] + lane, 6 * GROUP, y));
      for (long x = 0; x < PATCH; x++) {
        Ints pixel = (Ints)mask_value(interpolate(row_values[0] + lane, GROUP, x), encoder.prompted[object]);
        if (!x) pixel &= neighbours.left[i];
        if (!y) pixel &= neighbours.above[i];
        store(pixels + (y * PATCH + x) * GROUP + lane, (Floats)pixel);
      }
    }
}

// gelu(norm(convolution(x))) of x [9 in, GROUP] -> to, where channels are `stride` floats apart. y [out, GROUP] is
// scratch; to may alias it.
NOINLINE void convolve(const Encoder &encoder, long index, const float *x, float *y, float *to, long stride) {
  const Convolution &layers = encoder.convolutions[index];
  const long channels = WIDTHS[index + 1];
  linear_to(layers.weights, WIDTHS[index] * 9, channels, x, y);
  layer_norm(layers.norm, encoder.eps, channels, y, y);
  for (long c = 0; c < channels; c++)
    for (int lane = 0; lane < GROUP; lane += LANES) store(to + c * stride + lane, gelu(load(y + c * GROUP + lane)));
}

// `convolve` of one position of a group, written to a map.
NOINLINE void convolve_place(const Encoder &encoder, long index, const float *x, float *y, long place, long group,
                             float *map) {
  const long channels = WIDTHS[index + 1], pitch = encoder.pitch(), padding = encoder.padding();
  float *to = map + place * channels * pitch;
  if (!group)
    for (long c = 0; c < channels; c++) std::fill_n(to + c * pitch, padding, 0);
  convolve(encoder, index, x, y, to + padding + group * GROUP, pitch);
}

// The first convolution, of a group's tokens, written to a map [8, 8, 4, tokens].
NOINLINE void convolve_mask(const Encoder &encoder, long object, long group, float *maps) {
  static thread_local Scratch scratch;
  float *pixels = scratch.floats((PATCH * PATCH + 9 + WIDTHS[1]) * GROUP), *x = pixels + PATCH * PATCH * GROUP,
        *y = x + 9 * GROUP;
  upsample(encoder, object, group, pixels);
  for (long place = 0; place < 64; place++) {
    const float *from = pixels + (place / 8 * 2 * PATCH + place % 8 * 2) * GROUP;
    for (long i = 0; i < 3; i++) memcpy(x + 3 * i * GROUP, from + i * PATCH * GROUP, sizeof(float) * 3 * GROUP);
    convolve_place(encoder, 0, x, y, place, group, maps + object * encoder.size());
  }
}

// Input of a later convolution for one position of a group: map [side, side, in, tokens] -> [9 in, GROUP].
NOINLINE void gather_taps(const Encoder &encoder, long in, long side, const float *map, long place, long group,
                          float *x) {
  const Neighbours neighbours(encoder, group);
  const long pitch = encoder.pitch(), top = place / (side / 2) * 2 - 1, left = place % (side / 2) * 2 - 1;
  for (long tap = 0; tap < 9; tap++) {
    const long row = top + tap / 3, column = left + tap % 3;
    const float *from = map + ((row + side) % side * side + (column + side) % side) * in * pitch + encoder.padding() +
                        group * GROUP - (row < 0) * encoder.width - (column < 0);
    for (int i = 0; i < VECTORS; i++) {
      const Ints mask = column < 0 ? neighbours.left[i] : Ints{} - 1;
      for (long c = 0; c < in; c++)
        store(x + (c * 9 + tap) * GROUP + i * LANES, (Floats)((Ints)load(from + c * pitch + i * LANES) & mask));
    }
  }
}

// The second and third convolution.
NOINLINE void convolve_map(const Encoder &encoder, long index, const float *maps, long object, long group, float *to) {
  static thread_local Scratch scratch;
  const long in = WIDTHS[index], side = 16 >> index, from = object * encoder.size();
  float *x = scratch.floats((9 * in + WIDTHS[index + 1]) * GROUP), *y = x + 9 * in * GROUP;
  for (long place = 0; place < side * side / 4; place++) {
    gather_taps(encoder, in, side, maps + from, place, group, x);
    convolve_place(encoder, index, x, y, place, group, to + from);
  }
}

// A function of a lane: its token's row in a map, null for missing tokens.
template <class Value>
auto rows(const Encoder &encoder, long group, Value *map, long row) {
  return [=, tokens = encoder.tokens()](long lane) {
    const long token = group * GROUP + lane;
    return token < tokens ? map + token * row : nullptr;
  };
}

// Projected image features of a group: [dim, GROUP].
NOINLINE void project(const Encoder &encoder, long image, long group, float *to) {
  static thread_local Scratch scratch;
  const long dim = encoder.dim;
  float *x = scratch.floats(dim * GROUP);
  gather(rows(encoder, group, encoder.features + image * encoder.tokens() * dim, dim), dim, x);
  linear_to(encoder.pixels, dim, dim, x, to + (image * encoder.groups() + group) * dim * GROUP);
}

// The last convolution, added to the features, written as rows.
NOINLINE void add_mask(const Encoder &encoder, const float *maps, const float *features, long object, long group,
                       float *to) {
  static thread_local Scratch scratch;
  const long in = WIDTHS[3], channels = WIDTHS[4], dim = encoder.dim, from = object * encoder.size();
  float *x = scratch.floats((9 * in + channels + dim) * GROUP), *y = x + 9 * in * GROUP, *sum = y + channels * GROUP;
  gather_taps(encoder, in, 2, maps + from, 0, group, x);
  convolve(encoder, 3, x, y, y, GROUP);
  const long of_image = object % encoder.images * encoder.groups() + group;
  memcpy(sum, features + of_image * dim * GROUP, sizeof(float) * dim * GROUP);
  add_linear(encoder.mask, channels, dim, y, sum);
  scatter(sum, dim, rows(encoder, group, to + from, encoder.row()));
}

// Depthwise weights [dim, 49] and bias [dim] -> rows [50, row].
void transpose_taps(const Encoder &encoder, Weights depthwise, float *to) {
  const long row = encoder.row();
  std::fill_n(to, 50 * row, 0);
  for (long c = 0; c < encoder.dim; c++) {
    for (long tap = 0; tap < 49; tap++) to[tap * row + c] = depthwise.weight[c * 49 + tap];
    to[49 * row + c] = depthwise.bias[c];
  }
}

// Depthwise convolution of up to TOKENS_AT_ONCE tokens in a row: rows.
NOINLINE void depthwise(const Encoder &encoder, const float *map, const float *taps, long token, long count,
                        float *to) {
  const long row = encoder.row(), width = encoder.width, y = token / width, x = token % width;
  for (long c = 0; c < row; c += LANES) {
    Floats sums[TOKENS_AT_ONCE];
    for (long i = 0; i < TOKENS_AT_ONCE; i++) sums[i] = load(taps + 49 * row + c);
    for (long tap = std::max(0l, 3 - y); tap < std::min(7l, encoder.height + 3 - y); tap++) {
      Floats weights[7];
      for (long i = 0; i < 7; i++) weights[i] = load(taps + (tap * 7 + i) * row + c);
#pragma GCC unroll 14
      for (long i = 0; i < TOKENS_AT_ONCE + 6; i++) {
        const long column = x + i - 3;
        if (column < 0 || column >= width) continue;
        const Floats value = load(map + ((y + tap - 3) * width + column) * row + c);
#pragma GCC unroll 8
        for (long j = 0; j < TOKENS_AT_ONCE; j++)
          if (i >= j && i - j < 7) sums[j] += value * weights[i - j];
      }
    }
    for (long i = 0; i < count; i++) store(to + i * row + c, sums[i]);
  }
}

// A ConvNeXt block; after the last one also the output projection.
NOINLINE void fuse(const Encoder &encoder, long index, const float *maps, const float *taps, long object, long group,
                   float *to) {
  static thread_local Scratch scratch;
  const Fuser &fuser = encoder.fusers[index];
  const long dim = encoder.dim, row = encoder.row(), from = object * encoder.size();
  float *sums = scratch.floats((row + 6 * dim + encoder.memory_dim) * GROUP), *x = sums + row * GROUP,
        *y = x + dim * GROUP, *hidden = y + dim * GROUP, *out_proj = hidden + 4 * dim * GROUP;
  const long tokens = std::min<long>(GROUP, encoder.tokens() - group * GROUP);
  for (long lane = 0, count; lane < tokens; lane += count) {
    const long token = group * GROUP + lane;
    count = std::min({TOKENS_AT_ONCE, encoder.width - token % encoder.width, tokens - lane});
    depthwise(encoder, maps + from, taps + index * 50 * row, token, count, sums + lane * row);
  }
  gather([=](long lane) { return lane < tokens ? sums + lane * row : nullptr; }, dim, x);
  layer_norm(fuser.norm, encoder.eps, dim, x, x);
  gelu_linear(fuser.up, dim, 4 * dim, x, hidden);
  gather(rows(encoder, group, maps + from, row), dim, y);
  linear(fuser.down, 4 * dim, dim, hidden, [=, scale = encoder.scales[index]](long c, int lane, Floats value) {
    float *sum = y + c * GROUP + lane;
    store(sum, load(sum) + scale[c] * value);
  });
  if (!index) {
    scatter(y, dim, rows(encoder, group, to + from, row));
    return;
  }
  linear_to(encoder.out_proj, dim, encoder.memory_dim, y, out_proj);
  float *out = encoder.out + object * encoder.tokens() * encoder.memory_dim;
  scatter(out_proj, encoder.memory_dim, rows(encoder, group, out, encoder.memory_dim));
}

}  // namespace

extern "C" void encode_memory(const Encoder *arguments) {
  static thread_local Scratch scratch;
  const Encoder &encoder = *arguments;
  const long groups = encoder.groups(), work = encoder.objects * groups, size = encoder.objects * encoder.size();
  float *maps_a = scratch.floats(2 * size + encoder.images * groups * encoder.dim * GROUP + 2 * 50 * encoder.row());
  float *maps_b = maps_a + size, *taps = maps_b + size, *features = taps + 2 * 50 * encoder.row();
  for (long index = 0; index < 2; index++)
    transpose_taps(encoder, encoder.fusers[index].depthwise, taps + index * 50 * encoder.row());
#pragma omp parallel num_threads(encoder.threads)
  {
#pragma omp for schedule(dynamic) nowait
    for (long i = 0; i < encoder.images * groups; i++) project(encoder, i / groups, i % groups, features);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) convolve_mask(encoder, i / groups, i % groups, maps_a);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) convolve_map(encoder, 1, maps_a, i / groups, i % groups, maps_b);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) convolve_map(encoder, 2, maps_b, i / groups, i % groups, maps_a);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) add_mask(encoder, maps_a, features, i / groups, i % groups, maps_b);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) fuse(encoder, 0, maps_b, taps, i / groups, i % groups, maps_a);
#pragma omp for schedule(dynamic)
    for (long i = 0; i < work; i++) fuse(encoder, 1, maps_a, taps, i / groups, i % groups, maps_b);
  }
}
