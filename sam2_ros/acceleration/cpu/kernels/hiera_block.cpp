// A block of Hiera, the image encoder: norm, attention within windows or the whole image, norm, MLP, with their sums.
//
// It has two parts. What tokens say (queries, keys, values, and the shortcut where channels are widened) is found for
// each group of tokens, and then the rest for each group, which looks at all of its window. Where there are windows
// enough, a thread does one after the other, whose tokens its second cache holds; else threads share the groups of one.
//
// Where queries are pooled, a window's tokens are sorted by their place in the 2x2 cells, so that those to be pooled
// are as many lanes apart: a maximum of four vectors. Tokens beyond the image, which pad a window, are zeros behind the
// norm, hence all alike: one token that counts as often as there are of them.

#include <vector>

#include "transformer.h"

namespace {

// As in hiera_block.py.
struct Block {
  const float *x;  // [batch, height, width, in]
  float *out;      // [batch, height, width, channels], or half the height and width when pooling
  long batch, height, width, in, channels, heads;
  long window;  // its side; 0: the whole image
  long pool, threads;
  float eps;
  Weights norm1, qkv, proj, shortcut, norm2, up, down;  // shortcut: null without pooling
};

// A window's tokens in the lanes of groups.
struct Window {
  const Block &block;
  long image, top, left, height, width;  // as far as the image goes
  long classes, each, tokens, groups;    // of places in 2x2 cells; lanes of each; of all

  Window(const Block &block, long index) : block(block) {
    const long across = in(block, block.width), in_image = in(block, block.height) * across;
    image = index / in_image;
    top = index % in_image / across * block.window;
    left = index % across * block.window;
    height = block.window ? std::min(block.window, block.height - top) : block.height;
    width = block.window ? std::min(block.window, block.width - left) : block.width;
    classes = block.pool ? 4 : 1;
    each = (height * width / classes + LANES - 1) / LANES * LANES;
    tokens = block.pool ? classes * each : height * width;
    groups = groups_of(tokens);
  }

  // Windows along a side of the image, and of all images.
  static long in(const Block &block, long side) { return block.window ? (side + block.window - 1) / block.window : 1; }
  static long count(const Block &block) { return block.batch * in(block, block.height) * in(block, block.width); }

  long padding() const { return block.window ? block.window * block.window - height * width : 0; }

  // Where the token of a lane is in x, or -1.
  long place(long lane) const {
    const long kind = lane / each, index = lane % each, step = block.pool ? 2 : 1;
    if (kind >= classes || index >= height * width / classes) return -1;
    const long row = index / (width / step) * step + kind / 2, column = index % (width / step) * step + kind % 2;
    return (image * block.height + top + row) * block.width + left + column;
  }

  // Where what becomes of the token of a lane is in out, or -1.
  long place_out(long lane) const {
    if (!block.pool) return place(lane);
    if (lane >= height * width / 4) return -1;
    const long row = top / 2 + lane / (width / 2), column = left / 2 + lane % (width / 2);
    return (image * block.height / 2 + row) * (block.width / 2) + column;
  }

  long groups_out() const { return block.pool ? groups_of(each) : groups; }

  long rows() const { return (block.pool ? 4 : 3) * block.channels; }  // of what a token says
};

// What a group's tokens say, [rows, GROUP].
APART void say(const Window &window, long group, float *said) {
  static thread_local Room room;
  const Block &block = window.block;
  float *x = room.of(block.in * GROUP);
  auto row_of = [&](long lane) {
    const long place = window.place(group * GROUP + lane);
    return place < 0 ? nullptr : block.x + place * block.in;
  };
  gather(row_of, block.in, x);
  layer_norm(block.norm1, block.eps, block.in, x, x);
  linear_to(block.qkv, block.in, 3 * block.channels, x, said);
  if (block.pool) linear_to(block.shortcut, block.in, block.channels, x, said + 3 * block.channels * GROUP);
}

// So many rows of what a window's tokens said, pooled for a group of those that are to come.
APART void pool(const Window &window, const float *said, long first, long count, long group, float *to) {
  const long rows = window.rows(), vectors = window.each / LANES;
  for (long i = 0; i < VECTORS; i++) {
    const long vector = std::min(VECTORS * group + i, vectors - 1);
    const float *from[4];
    for (long kind = 0; kind < 4; kind++) {
      const long at = kind * vectors + vector;
      from[kind] = said + (at / VECTORS * rows + first) * GROUP + at % VECTORS * LANES;
    }
    for (long c = 0; c < count * GROUP; c += GROUP)
      store(to + c + i * LANES,
            larger(larger(load(from[0] + c), load(from[1] + c)), larger(load(from[2] + c), load(from[3] + c))));
  }
}

// What a head finds for a group of those that are to come: [width, GROUP].
APART void look(const Window &window, const float *said, const uint8_t *there, long head, long group, float *found) {
  static thread_local Room room;
  const Block &block = window.block;
  const long c = block.channels, width = c / block.heads;
  float *scores = room.of((STEP + 1 + width) * GROUP), *pooled = scores + (STEP + 1) * GROUP;
  Attended to = {said, window.rows(), c + head * width, 2 * c + head * width, window.tokens, there};
  if (window.padding()) {
    to.more_key = block.qkv.bias + to.key;
    to.more_value = block.qkv.bias + to.value;
    to.times = window.padding();
  }
  if (block.pool) pool(window, said, head * width, width, group, pooled);
  attend(to, width, block.pool ? pooled : said + (group * window.rows() + head * width) * GROUP, scores, found);
}

// The rest, from what all heads found, [channels, GROUP].
APART void conclude(const Window &window, const float *said, const float *found, long group) {
  static thread_local Room room;
  const Block &block = window.block;
  const long c = block.channels;
  float *y = room.of(6 * c * GROUP), *normal = y + c * GROUP, *hidden = normal + c * GROUP;
  if (block.pool) {
    pool(window, said, 3 * c, c, group, y);
  } else {
    auto row_of = [&](long lane) {
      const long place = window.place(group * GROUP + lane);
      return place < 0 ? nullptr : block.x + place * c;
    };
    gather(row_of, c, y);
  }
  add_linear(block.proj, c, c, found, y);
  layer_norm(block.norm2, block.eps, c, y, normal);
  gelu_linear(block.up, c, 4 * c, normal, hidden);
  add_linear(block.down, 4 * c, c, hidden, y);
  scatter(y, c, [&](long lane) {
    const long place = window.place_out(group * GROUP + lane);
    return place < 0 ? nullptr : block.out + place * c;
  });
}

// One thread alone, or as one of several that share it, does all of a window.
struct Work {
  const Window window;
  std::vector<uint8_t> there;  // see Attended
  float *said, *found;

  Work(const Block &block, long index, Room &room) : window(block, index) {
    if (block.pool && window.each != window.height * window.width / 4)
      for (long lane = 0; lane < window.tokens; lane++) there.push_back(window.place(lane) >= 0);
    said = room.of((window.groups * window.rows() + window.groups_out() * block.channels) * GROUP);
    found = said + window.groups * window.rows() * GROUP;
  }

  long looks() const { return window.block.heads * window.groups_out(); }

  void say(long group) { ::say(window, group, said + group * window.rows() * GROUP); }

  void look(long index) {  // a head looks for all groups before the next does, since caches hold what it looks at
    const long head = index / window.groups_out(), group = index % window.groups_out(), c = window.block.channels;
    const long width = c / window.block.heads;
    ::look(window, said, there.empty() ? nullptr : there.data(), head, group, found + (group * c + head * width) * GROUP);
  }

  void conclude(long group) { ::conclude(window, said, found + group * window.block.channels * GROUP, group); }
};

}  // namespace

extern "C" void hiera_block(const Block *given) {
  const Block &block = *given;
  const long windows = Window::count(block);
  if (windows >= 2 * block.threads) {
#pragma omp parallel for num_threads(block.threads) schedule(dynamic)
    for (long index = 0; index < windows; index++) {
      static thread_local Room room;
      Work work(block, index, room);
      for (long i = 0; i < work.window.groups; i++) work.say(i);
      for (long i = 0; i < work.looks(); i++) work.look(i);
      for (long i = 0; i < work.window.groups_out(); i++) work.conclude(i);
    }
    return;
  }
  for (long index = 0; index < windows; index++) {
    static thread_local Room room;
    Work work(block, index, room);
#pragma omp parallel num_threads(block.threads)
    {
#pragma omp for schedule(dynamic)
      for (long i = 0; i < work.window.groups; i++) work.say(i);
#pragma omp for schedule(dynamic)
      for (long i = 0; i < work.looks(); i++) work.look(i);
#pragma omp for schedule(dynamic)
      for (long i = 0; i < work.window.groups_out(); i++) work.conclude(i);
    }
  }
}
