// The mask decoder's transformer: a few tokens and an image attend to each other, for each of some objects.
//
// Since tokens are few, an image is not projected to queries, keys and values, but tokens are to what these would be
// multiplied by: with a query q and a token x of the image, q' (K x + b) is (K' q)' x, but for what is the same for all
// x, and a mean of V x + b is V times the mean of x, plus b. Likewise where the image looks at tokens. With eight
// tokens that is half the work. Then a token counts as often as there are heads: such pairs lie in the lanes of groups.
//
// The tokens of an object are one group, whose other lanes are of no use to anybody; its image is many groups. An image
// looks at the tokens and is looked at by the next block's in one go: in chunks, and whoever is last with an object's
// goes on with its tokens. So threads wait for each other once a block; and where there are objects enough, each has
// its own, and none waits.

#include <atomic>
#include <vector>

#include "transformer.h"

namespace {

constexpr long CHUNKS = 16;  // of an image, at most

// As in two_way_transformer.py, all of them.
struct Attention {
  Weights query, key, value, out;
};

struct Block {
  Attention within;  // from tokens to tokens
  Weights norm1;
  Attention to_image;
  Weights norm2, up, down, norm3, norm4;
  Attention to_tokens;  // from the image
};

struct Transformer {
  const float *tokens;    // [batch, count, channels]
  const float *image;     // [batch, cells, channels]
  const float *position;  // [cells, channels]
  float *tokens_out, *image_out;
  long batch, count, cells, channels, inner, hidden, heads, blocks, threads;  // inner: the width of looks at another
  float eps;
  const Block *block;  // and behind them the last attention, from tokens to image, and its norm

  const Attention &last() const { return *(const Attention *)(block + blocks); }
  const Weights &last_norm() const { return *(const Weights *)(&last() + 1); }
  const Attention &to_image(long index) const { return index < blocks ? block[index].to_image : last(); }

  long pairs() const { return heads * count; }
  long of_pairs() const { return groups_of(pairs()); }
  float scale() const { return 1.44269504f / std::sqrt((float)(inner / heads)); }  // for powers of two
};

// What is known of an object's tokens.
struct Tokens {
  float *x, *where;  // [channels, GROUP]
  float *queries;    // of pairs: groups of [channels, GROUP]
  float *keys;       // likewise, and behind each group what is added to scores: [channels + 1, GROUP]
  float *values;     // as queries
};

// And of all objects.
struct Work {
  const Transformer &of;
  const long groups, each, chunks;           // of each image; groups of a chunk; of each image
  const long of_tokens, of_chunk, of_group;  // floats
  float *const positions, *const images, *const objects, *const seen;

  Work(const Transformer &of, Room &room)
      : of(of),
        groups(groups_of(of.cells)),
        each((groups + CHUNKS - 1) / CHUNKS),
        chunks((groups + each - 1) / each),
        of_tokens((2 * of.channels + of.of_pairs() * (3 * of.channels + 1)) * GROUP),
        of_chunk(of.of_pairs() * (of.channels + 2) * GROUP),
        of_group(of.channels * GROUP),
        positions(room.of((of.batch + 1) * groups * of_group + of.batch * (of_tokens + chunks * of_chunk))),
        images(positions + groups * of_group),
        objects(images + of.batch * groups * of_group),
        seen(objects + of.batch * of_tokens) {}

  Tokens tokens(long object) const {
    float *x = objects + object * of_tokens, *queries = x + 2 * of_group;
    float *values = queries + of.of_pairs() * of_group, *keys = values + of.of_pairs() * of_group;
    return {x, x + of_group, queries, keys, values};
  }

  float *position(long group) const { return positions + group * of_group; }
  float *image(long object, long group) const { return images + (object * groups + group) * of_group; }

  // What pairs have seen in a chunk: for each group of them, sums [channels, GROUP], the largest score and the total.
  float *seen_in(long object, long chunk) const { return seen + (object * chunks + chunk) * of_chunk; }
};

// x [inner, GROUP] of tokens -> each head's part of it in lanes of its own, among zeros: groups of [inner, GROUP].
APART void spread(const Transformer &of, const float *x, float *pairs) {
  std::fill_n(pairs, of.of_pairs() * of.inner * GROUP, 0);
  for (long c = 0; c < of.inner; c++)
    for (long t = 0; t < of.count; t++) {
      const long pair = c / (of.inner / of.heads) * of.count + t;
      pairs[(pair / GROUP * of.inner + c) * GROUP + pair % GROUP] = x[c * GROUP + t];
    }
}

// And back.
APART void collect(const Transformer &of, const float *pairs, float *x) {
  std::fill_n(x, of.inner * GROUP, 0);
  for (long c = 0; c < of.inner; c++)
    for (long t = 0; t < of.count; t++) {
      const long pair = c / (of.inner / of.heads) * of.count + t;
      x[c * GROUP + t] = pairs[(pair / GROUP * of.inner + c) * GROUP + pair % GROUP];
    }
}

// Pairs [inner, GROUP], which are queries or keys, -> what those they are to meet have to be multiplied by, before they
// are projected themselves: [channels, GROUP]. weight [inner, channels].
APART void transposed(const float *weight, long inner, long channels, const float *pairs, float *to) {
  Product<Float32>()(channels, (const Word *)weight, 1, channels, (const Word *)pairs, inner, to, false);
}

// An object's tokens attend to themselves, if there is another block, and have questions to the image.
APART void ask(const Work &work, long object, long block) {
  static thread_local Room room;
  const Transformer &of = work.of;
  const Tokens tokens = work.tokens(object);
  const long c = of.channels, width = c / of.heads;
  float *said = room.of((4 * c + of.inner * (1 + of.of_pairs()) + STEP + 1) * GROUP), *other = said + 3 * c * GROUP;
  float *query = other + c * GROUP, *pairs = query + of.inner * GROUP;
  float *scores = pairs + of.of_pairs() * of.inner * GROUP;
  if (block < of.blocks) {
    const Attention &within = of.block[block].within;
    if (block) add(tokens.x, tokens.where, c, other);
    const float *placed = block ? other : tokens.x;  // in the first, tokens are nothing but their position yet
    linear_to(within.query, c, c, placed, said);
    linear_to(within.key, c, c, placed, said + c * GROUP);
    linear_to(within.value, c, c, tokens.x, said + 2 * c * GROUP);
    for (long head = 0; head < of.heads; head++) {
      const Attended to = {said, 3 * c, c + head * width, 2 * c + head * width, of.count, nullptr};
      attend(to, width, said + head * width * GROUP, scores, other + head * width * GROUP);
    }
    (block ? add_linear : linear_to)(within.out, c, c, other, tokens.x);
    layer_norm(of.block[block].norm1, of.eps, c, tokens.x, tokens.x);
  }
  const Attention &by = of.to_image(block);
  add(tokens.x, tokens.where, c, other);
  linear_to(by.query, c, of.inner, other, query);
  spread(of, query, pairs);
  for (long i = 0; i < of.of_pairs(); i++)
    transposed(by.key.weight, of.inner, c, pairs + i * of.inner * GROUP, tokens.queries + i * c * GROUP);
}

// One of the image's groups looks at the tokens.
APART void learn(const Transformer &of, const Tokens &tokens, const float *position, long block, float *image) {
  static thread_local Room room;
  const Block &by = of.block[block];
  const long c = of.channels;
  float *placed = room.of((c + of.pairs()) * GROUP), *scores = placed + c * GROUP;
  add(image, position, c, placed);
  for (long i = 0; i < of.pairs(); i += GROUP) {
    const float *keys = tokens.keys + i * (c + 1), *more = keys + c * GROUP;
    multiply<Float32>(std::min<long>(GROUP, of.pairs() - i), (const Word *)keys, 1, GROUP, GROUP * GROUP,
                      (const Word *)placed, c, [=](long pair, int lane, Floats x) {
                        store(scores + (i + pair) * GROUP + lane, x + more[pair]);
                      });
  }
  for (float *own = scores; own < scores + of.pairs() * GROUP; own += of.count * GROUP) {
    float largest[GROUP], total[GROUP] = {};
    std::fill_n(largest, GROUP, LOW);
    weigh<Float32>(own, of.count, of.scale(), own, largest, total, nullptr, 0);
    for (int lane = 0; lane < GROUP; lane += LANES) {
      const Floats factor = 1 / load(total + lane);
      for (long t = 0; t < of.count; t++) store(own + t * GROUP + lane, load(own + t * GROUP + lane) * factor);
    }
  }
  multiply<Float32>(c, (const Word *)tokens.values, GROUP, 1, c * GROUP, (const Word *)scores, of.pairs(),
                    [=](long row, int lane, Floats more) {
                      float *to = image + row * GROUP + lane;
                      store(to, load(to) + more + by.to_tokens.out.bias[row]);
                    });
  layer_norm(by.norm4, of.eps, c, image, image);
}

// All pairs look at one more of the image's groups.
APART void look(const Transformer &of, const Tokens &tokens, const float *image, const float *position, long cells,
                float *seen) {
  static thread_local Room room;
  const long c = of.channels;
  float *placed = room.of((c + GROUP) * GROUP), *scores = placed + c * GROUP;
  add(image, position, c, placed);
  Product<Float32> product;
  for (long i = 0; i < of.of_pairs(); i++, seen += (c + 2) * GROUP) {
    float *largest = seen + c * GROUP, *total = largest + GROUP;
    product(cells, (const Word *)placed, 1, GROUP, (const Word *)tokens.queries + i * c * GROUP, c, scores, false);
    weigh<Float32>(scores, cells, of.scale(), scores, largest, total, seen, c);
    product(c, (const Word *)image, GROUP, 1, (const Word *)scores, cells, seen, true);
  }
}

// A chunk of an object's image.
APART void attend_both_ways(const Work &work, long object, long chunk, long block) {
  const Transformer &of = work.of;
  const Tokens tokens = work.tokens(object);
  const long c = of.channels;
  float *seen = work.seen_in(object, chunk);
  for (long i = 0; i < of.of_pairs(); i++) {
    float *pairs = seen + i * (c + 2) * GROUP;
    std::fill_n(pairs, (c + 2) * GROUP, 0);
    std::fill_n(pairs + c * GROUP, GROUP, LOW);
  }
  for (long group = chunk * work.each; group < std::min(work.groups, (chunk + 1) * work.each); group++) {
    float *image = work.image(object, group), *position = work.position(group);
    if (block) learn(of, tokens, position, block - 1, image);
    if (block == of.blocks) write(image, of.cells, group, c, of.image_out + object * of.cells * c);
    look(of, tokens, image, position, std::min<long>(GROUP, of.cells - group * GROUP), seen);
  }
}

// What a group of pairs has seen in all chunks, on average: [channels, GROUP].
APART void merge(const Work &work, long object, long pairs, float *mean) {
  const long c = work.of.channels;
  auto seen = [&](long chunk, long row) { return work.seen_in(object, chunk) + (pairs * (c + 2) + row) * GROUP; };
  std::fill_n(mean, c * GROUP, 0);
  for (int lane = 0; lane < GROUP; lane += LANES) {
    Floats most = Floats{} + LOW, total = {};
    for (long i = 0; i < work.chunks; i++) most = larger(load(seen(i, c) + lane), most);
    for (long i = 0; i < work.chunks; i++) {
      const Floats shrunk = Float32::power_of_two(larger(Floats{} + LEAST, load(seen(i, c) + lane) - most));
      const float *sums = seen(i, 0) + lane;
      total += load(seen(i, c + 1) + lane) * shrunk;
      for (long k = 0; k < c * GROUP; k += GROUP)
        store(mean + k + lane, load(mean + k + lane) + load(sums + k) * shrunk);
    }
    const Floats factor = 1 / total;
    for (long k = 0; k < c * GROUP; k += GROUP) store(mean + k + lane, load(mean + k + lane) * factor);
  }
}

// What an object's tokens are after they have looked, and what they say to the image.
APART void conclude(const Work &work, long object, long block) {
  static thread_local Room room;
  const Transformer &of = work.of;
  const Tokens tokens = work.tokens(object);
  const long c = of.channels, all = of.of_pairs() * of.inner;
  float *hidden = room.of((c + all + of.inner + of.hidden) * GROUP), *other = hidden + of.hidden * GROUP;
  float *said = other + c * GROUP, *pairs = said + of.inner * GROUP, *x = tokens.x;
  for (long i = 0; i < of.of_pairs(); i++) {
    merge(work, object, i, other);
    linear_to(of.to_image(block).value, c, of.inner, other, pairs + i * of.inner * GROUP);
  }
  collect(of, pairs, said);
  add_linear(of.to_image(block).out, of.inner, c, said, x);
  if (block == of.blocks) {
    layer_norm(of.last_norm(), of.eps, c, x, x);
    write(x, of.count, 0, c, of.tokens_out + object * of.count * c);
    return;
  }
  const Block &by = of.block[block];
  layer_norm(by.norm2, of.eps, c, x, x);
  relu_linear(by.up, c, of.hidden, x, hidden);
  add_linear(by.down, of.hidden, c, hidden, x);
  layer_norm(by.norm3, of.eps, c, x, x);

  Product<Float32> product;
  add(x, tokens.where, c, other);
  linear_to(by.to_tokens.key, c, of.inner, other, said);
  spread(of, said, pairs);
  for (long i = 0; i < of.of_pairs(); i++) {
    float *keys = tokens.keys + i * (c + 1) * GROUP, *own = pairs + i * of.inner * GROUP;
    const Weights &query = by.to_tokens.query;
    transposed(query.weight, of.inner, c, own, keys);
    transposed(query.bias, of.inner, 1, own, keys + c * GROUP);
  }
  linear_to(by.to_tokens.value, c, of.inner, x, said);
  spread(of, said, pairs);
  for (long i = 0; i < of.of_pairs(); i++)
    product(c, (const Word *)by.to_tokens.out.weight, of.inner, 1, (const Word *)pairs + i * of.inner * GROUP, of.inner,
            tokens.values + i * c * GROUP, false);
  ask(work, object, block + 1);
}

void run(const Transformer &of) {
  static thread_local Room room;
  const Work work(of, room);
  const long c = of.channels;
  std::vector<std::atomic<long>> done(of.batch);  // chunks of each object, so far
#pragma omp parallel num_threads(of.threads)
  {
#pragma omp for schedule(dynamic) nowait
    for (long object = 0; object < of.batch; object++) {
      const Tokens tokens = work.tokens(object);
      read(of.tokens + object * of.count * c, of.count, 0, c, tokens.x);
      std::copy_n(tokens.x, c * GROUP, tokens.where);
      ask(work, object, 0);
    }
#pragma omp for schedule(dynamic)
    for (long i = 0; i < (of.batch + 1) * work.groups; i++) {
      const long object = i / work.groups, group = i % work.groups;
      if (object == of.batch)
        read(of.position, of.cells, group, c, work.position(group));
      else
        read(of.image + object * of.cells * c, of.cells, group, c, work.image(object, group));
    }
    for (long block = 0; block <= of.blocks; block++)
#pragma omp for schedule(dynamic)
      for (long i = 0; i < of.batch * work.chunks; i++) {
        const long object = i / work.chunks;
        attend_both_ways(work, object, i % work.chunks, block);
        if (++done[object] == work.chunks * (block + 1)) conclude(work, object, block);
      }
  }
}

}  // namespace

extern "C" void two_way_transformer(const Transformer *given) {
  const Transformer &of = *given;
  if (of.batch < 2 * of.threads) return run(of);
#pragma omp parallel for num_threads(of.threads) schedule(dynamic)
  for (long object = 0; object < of.batch; object++) {
    Transformer own = of;
    const long tokens = object * of.count * of.channels, image = object * of.cells * of.channels;
    own.tokens += tokens;
    own.tokens_out += tokens;
    own.image += image;
    own.image_out += image;
    own.batch = own.threads = 1;
    run(own);
  }
}
