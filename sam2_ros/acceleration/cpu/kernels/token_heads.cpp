// MLPs of three layers, one for each output token of the mask decoder. Lanes are objects.

#include <numeric>

#include "transformer.h"

namespace {

// Mirror the structures of token_heads.py.
struct Head {
  Weights first, second, third;
};

struct Heads {
  const float *tokens;  // [batch, heads, channels]; batch has stride token_stride
  float *result;        // [batch, sum of out]
  const Head *head;
  const long *hidden, *out;  // widths: [heads]
  long token_stride, batch, channels, heads, threads;
};

}  // namespace

extern "C" void token_heads(const Heads *arguments) {
  const Heads &call = *arguments;
  const long total_out = std::accumulate(call.out, call.out + call.heads, 0L);
#pragma omp parallel for num_threads(call.threads) schedule(dynamic)
  for (long i = 0; i < groups_of(call.batch) * call.heads; i++) {
    static thread_local Scratch scratch;
    const long index = i % call.heads, object = i / call.heads * GROUP, hidden = call.hidden[index],
               out = call.out[index];
    const Head &head = call.head[index];
    float *x = scratch.floats((call.channels + 2 * hidden + out) * GROUP), *y = x + call.channels * GROUP;
    float *z = y + hidden * GROUP, *outputs = z + hidden * GROUP;
    const float *token = call.tokens + object * call.token_stride + index * call.channels;
    gather([&](long lane) { return object + lane < call.batch ? token + lane * call.token_stride : nullptr; },
           call.channels, x);
    relu_linear(head.first, call.channels, hidden, x, y);
    relu_linear(head.second, hidden, hidden, y, z);
    linear_to(head.third, hidden, out, z, outputs);
    float *result = call.result + object * total_out + std::accumulate(call.out, call.out + index, 0L);
    scatter(outputs, out, [&](long lane) { return object + lane < call.batch ? result + lane * total_out : nullptr; });
  }
}
