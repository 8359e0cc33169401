// Rotary embedding of bfloat16 in place; PyTorch would copy to float32 and back.

#include "lanes.h"

#ifdef __AMX_BF16__
extern "C" {

// x [batch, tokens, words], each word a pair of channels, times the complex numbers rotation [cells, words] (cosine,
// sine). tokens is a multiple of cells, words of LANES.
void rotate_bfloat16(Word *x, const float *rotation, long batch, long tokens, long words, long batch_stride,
                     long token_stride, long cells, long threads) {
  const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#pragma omp parallel for collapse(2) num_threads(threads)
  for (long b = 0; b < batch; b++)
    for (long t = 0; t < tokens; t++)
      for (long w = 0; w < words; w += LANES) {
        Word *pair = x + b * batch_stride + t * token_stride + w;
        const float *factor = rotation + (t % cells * words + w) * 2;
        Ints both;
        memcpy(&both, pair, sizeof both);
        const Floats first = (Floats)(both << 16), second = (Floats)(both & (int)0xffff0000);
        const Floats cosine = __builtin_shuffle(load(factor), load(factor + LANES), 2 * lanes);
        const Floats sine = __builtin_shuffle(load(factor), load(factor + LANES), 2 * lanes + 1);
        store((float *)pair, BFloat16::pair(first * cosine - second * sine, first * sine + second * cosine));
      }
}
}
#endif
