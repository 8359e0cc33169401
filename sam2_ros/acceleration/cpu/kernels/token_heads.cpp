// MLPs of three layers, each on a token of its own, for objects in the lanes of groups.

#include <numeric>

#include "transformer.h"

namespace {

// As in token_heads.py, all of them.
struct Head {
  Weights first, second, third;
};

struct Heads {
  const float *tokens;  // [batch, heads, channels], from object to object so many apart
  float *result;        // [batch, the sum of outs]
  const Head *head;
  const long *hidden, *out;  // widths: [heads]
  long apart, batch, channels, heads, threads;
};

}  // namespace

extern "C" void token_heads(const Heads *given) {
  const Heads &of = *given;
  const long all = std::accumulate(of.out, of.out + of.heads, 0L);
#pragma omp parallel for num_threads(of.threads) schedule(dynamic)
  for (long i = 0; i < groups_of(of.batch) * of.heads; i++) {
    static thread_local Room room;
    const long index = i % of.heads, object = i / of.heads * GROUP, hidden = of.hidden[index], out = of.out[index];
    const Head &head = of.head[index];
    float *x = room.of((of.channels + 2 * hidden + out) * GROUP), *y = x + of.channels * GROUP;
    float *z = y + hidden * GROUP, *found = z + hidden * GROUP;
    const float *token = of.tokens + object * of.apart + index * of.channels;
    gather([&](long lane) { return object + lane < of.batch ? token + lane * of.apart : nullptr; }, of.channels, x);
    relu_linear(head.first, of.channels, hidden, x, y);
    relu_linear(head.second, hidden, hidden, y, z);
    linear_to(head.third, hidden, out, z, found);
    float *result = of.result + object * all + std::accumulate(of.out, of.out + index, 0L);
    scatter(found, out, [&](long lane) { return object + lane < of.batch ? result + lane * all : nullptr; });
  }
}
