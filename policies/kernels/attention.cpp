// Attention with a mask, and the pointer's log-probabilities, for the CPU.
//
// Plain PyTorch is the reference (layers.py, decoder.py).

#include "attention.h"

// Norms are the largest score and one over the sum of all exponentials, for the way back.
// Strides are in floats: of an instance, of a row; a row holds all heads.
EXPORT void attention(const float* q, I q_batch, I q_row, const float* k, I k_batch, I k_row,
               const float* v, I v_batch, I v_row, const uint8_t* mask, I mask_batch, I mask_row,
               float* out, float* norms, I batch, I queries, I nodes, I heads, I d, I threads) {
    const I padded = (nodes + 15) / 16 * 16;
    const float scale = 1 / __builtin_sqrtf(float(d));
#pragma omp parallel num_threads(threads)
    {
        Space space;
#pragma omp for
        for (I b = 0; b < batch; b++) {
            Instance x{q + b * q_batch, k + b * k_batch, v + b * v_batch,
                       mask ? mask + b * mask_batch : nullptr, q_row, k_row, v_row, mask_row,
                       queries, nodes, padded, heads, d, scale};
            forward_instance(x, 0, queries, out + b * queries * heads * d,
                             norms + 2 * b * queries * heads, space);
        }
    }
}

EXPORT void attention_backward(const float* q, I q_batch, I q_row, const float* k, I k_batch, I k_row,
                        const float* v, I v_batch, I v_row, const uint8_t* mask, I mask_batch,
                        I mask_row, const float* out, const float* norms, const float* of_out,
                        float* of_q, I of_q_batch, I of_q_row, float* of_k, I of_k_batch,
                        I of_k_row, float* of_v, I of_v_batch, I of_v_row, I batch,
                        I queries, I nodes, I heads, I d, I threads) {
    const I padded = (nodes + 15) / 16 * 16, width = heads * d;
    const float scale = 1 / __builtin_sqrtf(float(d));
#pragma omp parallel num_threads(threads)
    {
        Space space;
#pragma omp for
        for (I b = 0; b < batch; b++) {
            Instance x{q + b * q_batch, k + b * k_batch, v + b * v_batch,
                       mask ? mask + b * mask_batch : nullptr, q_row, k_row, v_row, mask_row,
                       queries, nodes, padded, heads, d, scale};
            Gradient g{out + b * queries * width, norms + 2 * b * queries * heads,
                       of_out + b * queries * width, of_q + b * of_q_batch, of_k + b * of_k_batch,
                       of_v + b * of_v_batch, of_q_row, of_k_row, of_v_row};
            backward_instance(x, g, space);
        }
    }
}

// Log-probabilities from logits clip * tanh(scale * x) + extra where the mask allows.
EXPORT void pointer(const float* x, const float* extra, const uint8_t* mask, float* out, I rows,
             I nodes, float scale, float clip, I threads) {
    const I padded = (nodes + 15) / 16 * 16;
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> s(padded);
#pragma omp for
        for (I i = 0; i < rows; i++) {
            const float* from = x + i * nodes;
            const uint8_t* allowed = mask + i * nodes;
            memcpy(s.data(), from, nodes * sizeof(float));
            V most = all(FORBIDDEN);
            for (I n = 0; n < padded; n += W) {
                V bounded = 1 - 2 / (exponential(load(&s[n]) * (2 * scale)) + 1);
                store(&s[n], clip * bounded);
            }
            for (I n = 0; n < nodes; n++) {
                float value = extra ? s[n] + extra[i * nodes + n] : s[n];
                s[n] = allowed[n] ? value : FORBIDDEN;
            }
            for (I n = nodes; n < padded; n++) s[n] = FORBIDDEN;
            for (I n = 0; n < padded; n += W) {
                V other = load(&s[n]);
                most = other > most ? other : most;
            }
            const float top = largest(most);
            V total = V{};
            for (I n = 0; n < padded; n += W) total += exponential(load(&s[n]) - top);
            const float shift = top + __builtin_logf(sum(total));
            float* to = out + i * nodes;
            for (I n = 0; n < nodes; n++) to[n] = allowed[n] ? s[n] - shift : -__builtin_inff();
        }
    }
}

// Gradients of `pointer`, given those of its result; of_extra may be null.
EXPORT void pointer_backward(const float* x, const float* log_probs, const float* of_out, float* of_x,
                      float* of_extra, I rows, I nodes, float scale, float clip, I threads) {
    const I padded = (nodes + 15) / 16 * 16;
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> s(padded), g(padded), p(padded, FORBIDDEN);
#pragma omp for
        for (I i = 0; i < rows; i++) {
            memcpy(s.data(), x + i * nodes, nodes * sizeof(float));
            memcpy(p.data(), log_probs + i * nodes, nodes * sizeof(float));
            // What cannot be chosen has no gradient, whatever arrives for it.
            for (I n = 0; n < nodes; n++) g[n] = p[n] < FORBIDDEN ? 0.f : of_out[i * nodes + n];
            V total = V{};
            for (I n = 0; n < padded; n += W) total += load(&g[n]);
            const float all_of_it = sum(total);
            for (I n = 0; n < padded; n += W) {
                V of_logit = load(&g[n]) - exponential(load(&p[n])) * all_of_it;
                V t = 1 - 2 / (exponential(load(&s[n]) * (2 * scale)) + 1);
                store(&g[n], of_logit);
                store(&s[n], of_logit * (clip * scale) * (1 - t * t));
            }
            memcpy(of_x + i * nodes, s.data(), nodes * sizeof(float));
            if (of_extra) memcpy(of_extra + i * nodes, g.data(), nodes * sizeof(float));
        }
    }
}
