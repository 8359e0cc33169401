// A block of Hiera: LayerNorm, attention within windows or the whole image, LayerNorm, MLP, with residual sums.
//
// It has three steps: project (queries, keys, values, and the shortcut where channels are widened) and finish (output
// projection, MLP) for each group of tokens, and attend_head in between for each head and group. With enough windows, a
// thread takes one window after the other, whose tokens stay in its L2 cache; else threads share the groups of one.
//
// With query pooling, a window's tokens are sorted by their corner in the 2x2 cells, so max-pooling is the maximum of
// four vectors. Padding tokens of a window are zero after the norm, hence equal: one token with a multiplicity.

#include <vector>

#include "transformer.h"

namespace {

// Mirrors `Block` of hiera_block.py.
struct Block {
  const float *x;  // [batch, height, width, in]
  float *out;      // [batch, height, width, channels], or half the height and width when pooling
  long batch, height, width, in, channels, heads;
  long window;  // side; 0: the whole image
  long pool, threads;
  float eps;
  Weights norm1, qkv, proj, shortcut, norm2, up, down;  // shortcut: null without pooling
};

// The tokens of a window in the lanes of groups.
struct Window {
  const Block &block;
  long image, top, left, height, width;        // clipped to the image
  long corners, corner_lanes, tokens, groups;  // corners of a 2x2 cell, lanes of each; lanes and groups of all

  Window(const Block &block, long index) : block(block) {
    const long columns = windows_along(block, block.width), per_image = windows_along(block, block.height) * columns;
    image = index / per_image;
    top = index % per_image / columns * block.window;
    left = index % columns * block.window;
    height = block.window ? std::min(block.window, block.height - top) : block.height;
    width = block.window ? std::min(block.window, block.width - left) : block.width;
    corners = block.pool ? 4 : 1;
    corner_lanes = (height * width / corners + LANES - 1) / LANES * LANES;
    tokens = block.pool ? corners * corner_lanes : height * width;
    groups = groups_of(tokens);
  }

  // Windows along a side of the image; of all images.
  static long windows_along(const Block &block, long side) {
    return block.window ? (side + block.window - 1) / block.window : 1;
  }
  static long count(const Block &block) {
    return block.batch * windows_along(block, block.height) * windows_along(block, block.width);
  }

  long padding() const { return block.window ? block.window * block.window - height * width : 0; }

  // Index in x of the token of a lane; -1: none.
  long input_index(long lane) const {
    const long corner = lane / corner_lanes, index = lane % corner_lanes, step = block.pool ? 2 : 1;
    if (corner >= corners || index >= height * width / corners) return -1;
    const long row = index / (width / step) * step + corner / 2, column = index % (width / step) * step + corner % 2;
    return (image * block.height + top + row) * block.width + left + column;
  }

  // Index in out of the output of a lane; -1: none.
  long output_index(long lane) const {
    if (!block.pool) return input_index(lane);
    if (lane >= height * width / 4) return -1;
    const long row = top / 2 + lane / (width / 2), column = left / 2 + lane % (width / 2);
    return (image * block.height / 2 + row) * (block.width / 2) + column;
  }

  long output_groups() const { return block.pool ? groups_of(corner_lanes) : groups; }

  long rows() const { return (block.pool ? 4 : 3) * block.channels; }  // of a token's projections
};

// Queries, keys, values and shortcut of a group: [rows, GROUP].
NOINLINE void project(const Window &window, long group, float *projected) {
  static thread_local Scratch scratch;
  const Block &block = window.block;
  float *x = scratch.floats(block.in * GROUP);
  auto row_of = [&](long lane) {
    const long position = window.input_index(group * GROUP + lane);
    return position < 0 ? nullptr : block.x + position * block.in;
  };
  gather(row_of, block.in, x);
  layer_norm(block.norm1, block.eps, block.in, x, x);
  linear_to(block.qkv, block.in, 3 * block.channels, x, projected);
  if (block.pool) linear_to(block.shortcut, block.in, block.channels, x, projected + 3 * block.channels * GROUP);
}

// `count` rows of a window's projections, max-pooled 2x2, for a group of output tokens: [count, GROUP].
NOINLINE void pool(const Window &window, const float *projected, long first, long count, long group, float *to) {
  const long rows = window.rows(), vectors = window.corner_lanes / LANES;
  for (long i = 0; i < VECTORS; i++) {
    const long vector = std::min(VECTORS * group + i, vectors - 1);
    const float *from[4];
    for (long corner = 0; corner < 4; corner++) {
      const long at = corner * vectors + vector;
      from[corner] = projected + (at / VECTORS * rows + first) * GROUP + at % VECTORS * LANES;
    }
    for (long c = 0; c < count * GROUP; c += GROUP)
      store(to + c + i * LANES,
            maximum(maximum(load(from[0] + c), load(from[1] + c)), maximum(load(from[2] + c), load(from[3] + c))));
  }
}

// Attention of one head for a group of output tokens: [width, GROUP].
NOINLINE void attend_head(const Window &window, const float *projected, const uint8_t *valid, long head, long group,
                          float *attended) {
  static thread_local Scratch scratch;
  const Block &block = window.block;
  const long c = block.channels, width = c / block.heads;
  float *scores = scratch.floats((KEY_STEP + 1 + width) * GROUP), *pooled = scores + (KEY_STEP + 1) * GROUP;
  KeysAndValues to = {projected, window.rows(), c + head * width, 2 * c + head * width, window.tokens, valid};
  if (window.padding()) {
    to.extra_key = block.qkv.bias + to.key;
    to.extra_value = block.qkv.bias + to.value;
    to.extra_count = window.padding();
  }
  if (block.pool) pool(window, projected, head * width, width, group, pooled);
  attend(to, width, block.pool ? pooled : projected + (group * window.rows() + head * width) * GROUP, scores, attended);
}

// Output projection, residual sum, norm and MLP of a group, from the attention of all heads: [channels, GROUP].
NOINLINE void finish(const Window &window, const float *projected, const float *attended, long group) {
  static thread_local Scratch scratch;
  const Block &block = window.block;
  const long c = block.channels;
  float *y = scratch.floats(6 * c * GROUP), *normal = y + c * GROUP, *hidden = normal + c * GROUP;
  if (block.pool) {
    pool(window, projected, 3 * c, c, group, y);
  } else {
    auto row_of = [&](long lane) {
      const long position = window.input_index(group * GROUP + lane);
      return position < 0 ? nullptr : block.x + position * c;
    };
    gather(row_of, c, y);
  }
  add_linear(block.proj, c, c, attended, y);
  layer_norm(block.norm2, block.eps, c, y, normal);
  gelu_linear(block.up, c, 4 * c, normal, hidden);
  add_linear(block.down, 4 * c, c, hidden, y);
  scatter(y, c, [&](long lane) {
    const long position = window.output_index(group * GROUP + lane);
    return position < 0 ? nullptr : block.out + position * c;
  });
}

// The work on one window, by one thread or shared by several.
struct Work {
  const Window window;
  std::vector<uint8_t> valid;  // see KeysAndValues
  float *projected, *attended;

  Work(const Block &block, long index, Scratch &scratch) : window(block, index) {
    if (block.pool && window.corner_lanes != window.height * window.width / 4)
      for (long lane = 0; lane < window.tokens; lane++) valid.push_back(window.input_index(lane) >= 0);
    projected = scratch.floats((window.groups * window.rows() + window.output_groups() * block.channels) * GROUP);
    attended = projected + window.groups * window.rows() * GROUP;
  }

  long head_tasks() const { return window.block.heads * window.output_groups(); }

  void project(long group) { ::project(window, group, projected + group * window.rows() * GROUP); }

  void attend_head(long index) {  // head by head, since caches hold its keys and values
    const long head = index / window.output_groups(), group = index % window.output_groups(), c = window.block.channels;
    const long width = c / window.block.heads;
    ::attend_head(window, projected, valid.empty() ? nullptr : valid.data(), head, group,
                  attended + (group * c + head * width) * GROUP);
  }

  void finish(long group) { ::finish(window, projected, attended + group * window.block.channels * GROUP, group); }
};

}  // namespace

extern "C" void hiera_block(const Block *arguments) {
  const Block &block = *arguments;
  const long windows = Window::count(block);
  if (windows >= 2 * block.threads) {
#pragma omp parallel for num_threads(block.threads) schedule(dynamic)
    for (long index = 0; index < windows; index++) {
      static thread_local Scratch scratch;
      Work work(block, index, scratch);
      for (long i = 0; i < work.window.groups; i++) work.project(i);
      for (long i = 0; i < work.head_tasks(); i++) work.attend_head(i);
      for (long i = 0; i < work.window.output_groups(); i++) work.finish(i);
    }
    return;
  }
  for (long index = 0; index < windows; index++) {
    static thread_local Scratch scratch;
    Work work(block, index, scratch);
#pragma omp parallel num_threads(block.threads)
    {
#pragma omp for schedule(dynamic)
      for (long i = 0; i < work.window.groups; i++) work.project(i);
#pragma omp for schedule(dynamic)
      for (long i = 0; i < work.head_tasks(); i++) work.attend_head(i);
#pragma omp for schedule(dynamic)
      for (long i = 0; i < work.window.output_groups(); i++) work.finish(i);
    }
  }
}
