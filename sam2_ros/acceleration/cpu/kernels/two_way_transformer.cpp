// The mask decoder's two-way transformer: a few tokens and an image attend to each other, for each object.
//
// The image is never projected to queries, keys and values. Instead, the few tokens are multiplied by the transposed
// weights: for a query q and an image token x, q' (K x + b) = (K' q)' x + const, and softmax ignores the constant; the
// weighted mean of V x + b is V (mean of x) + b. Image-to-token attention is rewritten in the same way. With eight
// tokens that halves the work. Each pair of a head and a token then has a vector of its own; the lanes of groups are
// pairs.
//
// The tokens of an object are one group, partly filled; its image is many groups, in chunks. One pass over the image
// does the image-to-token attention of a block and the token-to-image attention of the next. The thread that finishes
// an object's last chunk updates its tokens, so there is one barrier per block. With enough objects, each thread takes
// whole objects, without barriers.

#include <atomic>
#include <vector>

#include "transformer.h"

namespace {

constexpr long CHUNKS = 16;  // of an image, at most

// Mirror the structures of two_way_transformer.py.
struct Attention {
  Weights query, key, value, out;
};

struct Block {
  Attention self_attention;  // of the tokens
  Weights norm1;
  Attention to_image;
  Weights norm2, up, down, norm3, norm4;
  Attention to_tokens;  // the image attends to the tokens
};

struct Transformer {
  const float *tokens;    // [batch, count, channels]
  const float *image;     // [batch, cells, channels]
  const float *position;  // [cells, channels]
  float *tokens_out, *image_out;
  long batch, count, cells, channels, inner, hidden, heads, blocks, threads;  // inner: width of cross-attentions
  float eps;
  const Block *block;  // followed by the last cross-attention, from tokens to image, and its norm

  const Attention &last() const { return *(const Attention *)(block + blocks); }
  const Weights &last_norm() const { return *(const Weights *)(&last() + 1); }
  const Attention &to_image(long index) const { return index < blocks ? block[index].to_image : last(); }

  long pairs() const { return heads * count; }
  long pair_groups() const { return groups_of(pairs()); }
  float scale() const { return 1.44269504f / std::sqrt((float)(inner / heads)); }  // for exp2
};

// State of an object's tokens.
struct Tokens {
  float *x, *position;  // [channels, GROUP]
  float *queries;       // of pairs, times the transposed key weights: groups of [channels, GROUP]
  float *keys;          // of pairs, times the transposed query weights, then a bias of scores: [channels + 1, GROUP]
  float *values;        // of pairs, times the output weights: [channels, GROUP]
};

// State of all objects.
struct Work {
  const Transformer &call;
  const long groups, groups_per_chunk, chunks;          // groups of an image; groups of a chunk; chunks of an image
  const long token_floats, chunk_floats, group_floats;  // sizes in floats
  float *const positions, *const images, *const objects, *const partial;

  Work(const Transformer &call, Scratch &scratch)
      : call(call),
        groups(groups_of(call.cells)),
        groups_per_chunk((groups + CHUNKS - 1) / CHUNKS),
        chunks((groups + groups_per_chunk - 1) / groups_per_chunk),
        token_floats((2 * call.channels + call.pair_groups() * (3 * call.channels + 1)) * GROUP),
        chunk_floats(call.pair_groups() * (call.channels + 2) * GROUP),
        group_floats(call.channels * GROUP),
        positions(scratch.floats((call.batch + 1) * groups * group_floats +
                                 call.batch * (token_floats + chunks * chunk_floats))),
        images(positions + groups * group_floats),
        objects(images + call.batch * groups * group_floats),
        partial(objects + call.batch * token_floats) {}

  Tokens tokens(long object) const {
    float *x = objects + object * token_floats, *queries = x + 2 * group_floats;
    float *values = queries + call.pair_groups() * group_floats, *keys = values + call.pair_groups() * group_floats;
    return {x, x + group_floats, queries, keys, values};
  }

  float *position(long group) const { return positions + group * group_floats; }
  float *image(long object, long group) const { return images + (object * groups + group) * group_floats; }

  // Partial softmax of a chunk: for each group of pairs, weighted sums [channels, GROUP], maximum score, total weight.
  float *partial_of(long object, long chunk) const { return partial + (object * chunks + chunk) * chunk_floats; }
};

// x [inner, GROUP] of tokens -> pairs, groups of [inner, GROUP]: each keeps its head's channels, the others are zero.
NOINLINE void spread(const Transformer &call, const float *x, float *pairs) {
  std::fill_n(pairs, call.pair_groups() * call.inner * GROUP, 0);
  for (long c = 0; c < call.inner; c++)
    for (long t = 0; t < call.count; t++) {
      const long pair = c / (call.inner / call.heads) * call.count + t;
      pairs[(pair / GROUP * call.inner + c) * GROUP + pair % GROUP] = x[c * GROUP + t];
    }
}

// The inverse of `spread`.
NOINLINE void collect(const Transformer &call, const float *pairs, float *x) {
  std::fill_n(x, call.inner * GROUP, 0);
  for (long c = 0; c < call.inner; c++)
    for (long t = 0; t < call.count; t++) {
      const long pair = c / (call.inner / call.heads) * call.count + t;
      x[c * GROUP + t] = pairs[(pair / GROUP * call.inner + c) * GROUP + pair % GROUP];
    }
}

// weight' pairs: weight [inner, channels], pairs [inner, GROUP] -> [channels, GROUP].
NOINLINE void multiply_transposed(const float *weight, long inner, long channels, const float *pairs, float *to) {
  Product<Float32>()(channels, (const Word *)weight, 1, channels, (const Word *)pairs, inner, to, false);
}

// Self-attention of an object's tokens (not after the last block), and their queries of token-to-image attention.
NOINLINE void prepare_queries(const Work &work, long object, long block) {
  static thread_local Scratch scratch;
  const Transformer &call = work.call;
  const Tokens tokens = work.tokens(object);
  const long c = call.channels, width = c / call.heads;
  float *projected = scratch.floats((4 * c + call.inner * (1 + call.pair_groups()) + KEY_STEP + 1) * GROUP),
        *other = projected + 3 * c * GROUP;
  float *query = other + c * GROUP, *pairs = query + call.inner * GROUP;
  float *scores = pairs + call.pair_groups() * call.inner * GROUP;
  if (block < call.blocks) {
    const Attention &self_attention = call.block[block].self_attention;
    if (block) add(tokens.x, tokens.position, c, other);
    const float *with_position = block ? other : tokens.x;  // in the first block, tokens are their position
    linear_to(self_attention.query, c, c, with_position, projected);
    linear_to(self_attention.key, c, c, with_position, projected + c * GROUP);
    linear_to(self_attention.value, c, c, tokens.x, projected + 2 * c * GROUP);
    for (long head = 0; head < call.heads; head++) {
      const KeysAndValues to = {projected, 3 * c, c + head * width, 2 * c + head * width, call.count, nullptr};
      attend(to, width, projected + head * width * GROUP, scores, other + head * width * GROUP);
    }
    (block ? add_linear : linear_to)(self_attention.out, c, c, other, tokens.x);
    layer_norm(call.block[block].norm1, call.eps, c, tokens.x, tokens.x);
  }
  const Attention &layers = call.to_image(block);
  add(tokens.x, tokens.position, c, other);
  linear_to(layers.query, c, call.inner, other, query);
  spread(call, query, pairs);
  for (long i = 0; i < call.pair_groups(); i++)
    multiply_transposed(layers.key.weight, call.inner, c, pairs + i * call.inner * GROUP,
                        tokens.queries + i * c * GROUP);
}

// Image-to-token attention of one group of the image, and its norm.
NOINLINE void update_image(const Transformer &call, const Tokens &tokens, const float *position, long block,
                           float *image) {
  static thread_local Scratch scratch;
  const Block &layers = call.block[block];
  const long c = call.channels;
  float *with_position = scratch.floats((c + call.pairs()) * GROUP), *scores = with_position + c * GROUP;
  add(image, position, c, with_position);
  for (long i = 0; i < call.pairs(); i += GROUP) {
    const float *keys = tokens.keys + i * (c + 1), *added = keys + c * GROUP;
    multiply<Float32>(std::min<long>(GROUP, call.pairs() - i), (const Word *)keys, 1, GROUP, GROUP * GROUP,
                      (const Word *)with_position, c, [=](long pair, int lane, Floats x) {
                        store(scores + (i + pair) * GROUP + lane, x + added[pair]);
                      });
  }
  for (float *own = scores; own < scores + call.pairs() * GROUP; own += call.count * GROUP) {
    float largest[GROUP], total[GROUP] = {};
    std::fill_n(largest, GROUP, LOWEST_SCORE);
    online_softmax<Float32>(own, call.count, call.scale(), own, largest, total, nullptr, 0);
    for (int lane = 0; lane < GROUP; lane += LANES) {
      const Floats factor = 1 / load(total + lane);
      for (long t = 0; t < call.count; t++) store(own + t * GROUP + lane, load(own + t * GROUP + lane) * factor);
    }
  }
  multiply<Float32>(c, (const Word *)tokens.values, GROUP, 1, c * GROUP, (const Word *)scores, call.pairs(),
                    [=](long row, int lane, Floats added) {
                      float *to = image + row * GROUP + lane;
                      store(to, load(to) + added + layers.to_tokens.out.bias[row]);
                    });
  layer_norm(layers.norm4, call.eps, c, image, image);
}

// Token-to-image attention: all pairs attend to one more group of the image.
NOINLINE void attend_to_image(const Transformer &call, const Tokens &tokens, const float *image, const float *position,
                              long cells, float *partial) {
  static thread_local Scratch scratch;
  const long c = call.channels;
  float *with_position = scratch.floats((c + GROUP) * GROUP), *scores = with_position + c * GROUP;
  add(image, position, c, with_position);
  Product<Float32> product;
  for (long i = 0; i < call.pair_groups(); i++, partial += (c + 2) * GROUP) {
    float *largest = partial + c * GROUP, *total = largest + GROUP;
    product(cells, (const Word *)with_position, 1, GROUP, (const Word *)tokens.queries + i * c * GROUP, c, scores,
            false);
    online_softmax<Float32>(scores, cells, call.scale(), scores, largest, total, partial, c);
    product(c, (const Word *)image, GROUP, 1, (const Word *)scores, cells, partial, true);
  }
}

// Both cross-attentions of a chunk of an object's image.
NOINLINE void attend_both_ways(const Work &work, long object, long chunk, long block) {
  const Transformer &call = work.call;
  const Tokens tokens = work.tokens(object);
  const long c = call.channels;
  float *partial = work.partial_of(object, chunk);
  for (long i = 0; i < call.pair_groups(); i++) {
    float *pairs = partial + i * (c + 2) * GROUP;
    std::fill_n(pairs, (c + 2) * GROUP, 0);
    std::fill_n(pairs + c * GROUP, GROUP, LOWEST_SCORE);
  }
  for (long group = chunk * work.groups_per_chunk; group < std::min(work.groups, (chunk + 1) * work.groups_per_chunk);
       group++) {
    float *image = work.image(object, group), *position = work.position(group);
    if (block) update_image(call, tokens, position, block - 1, image);
    if (block == call.blocks) write(image, call.cells, group, c, call.image_out + object * call.cells * c);
    attend_to_image(call, tokens, image, position, std::min<long>(GROUP, call.cells - group * GROUP), partial);
  }
}

// Merges the partial softmax of all chunks into the weighted mean, for a group of pairs: [channels, GROUP].
NOINLINE void merge(const Work &work, long object, long pairs, float *mean) {
  const long c = work.call.channels;
  auto partial = [&](long chunk, long row) { return work.partial_of(object, chunk) + (pairs * (c + 2) + row) * GROUP; };
  std::fill_n(mean, c * GROUP, 0);
  for (int lane = 0; lane < GROUP; lane += LANES) {
    Floats largest = Floats{} + LOWEST_SCORE, total = {};
    for (long i = 0; i < work.chunks; i++) largest = maximum(load(partial(i, c) + lane), largest);
    for (long i = 0; i < work.chunks; i++) {
      const Floats rescale = Float32::exp2(maximum(Floats{} + MIN_EXPONENT, load(partial(i, c) + lane) - largest));
      const float *sums = partial(i, 0) + lane;
      total += load(partial(i, c + 1) + lane) * rescale;
      for (long k = 0; k < c * GROUP; k += GROUP)
        store(mean + k + lane, load(mean + k + lane) + load(sums + k) * rescale);
    }
    const Floats factor = 1 / total;
    for (long k = 0; k < c * GROUP; k += GROUP) store(mean + k + lane, load(mean + k + lane) * factor);
  }
}

// Updates an object's tokens after token-to-image attention, and prepares their keys and values for the image.
NOINLINE void update_tokens(const Work &work, long object, long block) {
  static thread_local Scratch scratch;
  const Transformer &call = work.call;
  const Tokens tokens = work.tokens(object);
  const long c = call.channels, all = call.pair_groups() * call.inner;
  float *hidden = scratch.floats((c + all + call.inner + call.hidden) * GROUP), *other = hidden + call.hidden * GROUP;
  float *projected = other + c * GROUP, *pairs = projected + call.inner * GROUP, *x = tokens.x;
  for (long i = 0; i < call.pair_groups(); i++) {
    merge(work, object, i, other);
    linear_to(call.to_image(block).value, c, call.inner, other, pairs + i * call.inner * GROUP);
  }
  collect(call, pairs, projected);
  add_linear(call.to_image(block).out, call.inner, c, projected, x);
  if (block == call.blocks) {
    layer_norm(call.last_norm(), call.eps, c, x, x);
    write(x, call.count, 0, c, call.tokens_out + object * call.count * c);
    return;
  }
  const Block &layers = call.block[block];
  layer_norm(layers.norm2, call.eps, c, x, x);
  relu_linear(layers.up, c, call.hidden, x, hidden);
  add_linear(layers.down, call.hidden, c, hidden, x);
  layer_norm(layers.norm3, call.eps, c, x, x);

  Product<Float32> product;
  add(x, tokens.position, c, other);
  linear_to(layers.to_tokens.key, c, call.inner, other, projected);
  spread(call, projected, pairs);
  for (long i = 0; i < call.pair_groups(); i++) {
    float *keys = tokens.keys + i * (c + 1) * GROUP, *own = pairs + i * call.inner * GROUP;
    const Weights &query = layers.to_tokens.query;
    multiply_transposed(query.weight, call.inner, c, own, keys);
    multiply_transposed(query.bias, call.inner, 1, own, keys + c * GROUP);
  }
  linear_to(layers.to_tokens.value, c, call.inner, x, projected);
  spread(call, projected, pairs);
  for (long i = 0; i < call.pair_groups(); i++)
    product(c, (const Word *)layers.to_tokens.out.weight, call.inner, 1, (const Word *)pairs + i * call.inner * GROUP,
            call.inner, tokens.values + i * c * GROUP, false);
  prepare_queries(work, object, block + 1);
}

void run(const Transformer &call) {
  static thread_local Scratch scratch;
  const Work work(call, scratch);
  const long c = call.channels;
  std::vector<std::atomic<long>> done(call.batch);  // finished chunks of each object
#pragma omp parallel num_threads(call.threads)
  {
#pragma omp for schedule(dynamic) nowait
    for (long object = 0; object < call.batch; object++) {
      const Tokens tokens = work.tokens(object);
      read(call.tokens + object * call.count * c, call.count, 0, c, tokens.x);
      std::copy_n(tokens.x, c * GROUP, tokens.position);
      prepare_queries(work, object, 0);
    }
#pragma omp for schedule(dynamic)
    for (long i = 0; i < (call.batch + 1) * work.groups; i++) {
      const long object = i / work.groups, group = i % work.groups;
      if (object == call.batch)
        read(call.position, call.cells, group, c, work.position(group));
      else
        read(call.image + object * call.cells * c, call.cells, group, c, work.image(object, group));
    }
    for (long block = 0; block <= call.blocks; block++)
#pragma omp for schedule(dynamic)
      for (long i = 0; i < call.batch * work.chunks; i++) {
        const long object = i / work.chunks;
        attend_both_ways(work, object, i % work.chunks, block);
        if (++done[object] == work.chunks * (block + 1)) update_tokens(work, object, block);
      }
  }
}

}  // namespace

extern "C" void two_way_transformer(const Transformer *arguments) {
  const Transformer &call = *arguments;
  if (call.batch < 2 * call.threads) return run(call);
#pragma omp parallel for num_threads(call.threads) schedule(dynamic)
  for (long object = 0; object < call.batch; object++) {
    Transformer single = call;
    const long tokens = object * call.count * call.channels, image = object * call.cells * call.channels;
    single.tokens += tokens;
    single.tokens_out += tokens;
    single.image += image;
    single.image_out += image;
    single.batch = single.threads = 1;
    run(single);
  }
}
