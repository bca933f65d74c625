// Every op, one line each, by the family whose header in <tuff/ops/...> declares it; read by
// registry.c. X(name): the record is tuff_op_<name>.

// ---- matrix
X(matmul)

// ---- conv
X(conv2d)
X(conv2d_input_grad)
X(conv2d_weight_grad)

// ---- pool
X(max_pool2d)
X(max_pool2d_grad)
X(average_pool2d)
X(average_pool2d_grad)
X(max_pool)
X(max_pool_grad)
X(average_pool)
X(average_pool_grad)
X(lp_pool)
X(adaptive_max_pool)
X(adaptive_average_pool)
X(global_max_pool)
X(global_average_pool)

// ---- elementwise
X(add)
X(sub)
X(mul)
X(div)
X(equal)
X(relu_grad)
X(sigmoid_grad)
X(tanh_grad)
X(relu)
X(sigmoid)
X(tanh)
X(exp)
X(log)
X(sqrt)
X(abs)
X(sign)
X(square)
X(affine)
X(cast)

// ---- reduce
X(reduce_sum)
X(reduce_mean)
X(reduce_max)
X(reduce_min)
X(softmax)

// ---- move
X(transpose)
X(reshape)
X(expand)
X(slice)
X(slice_grad)
X(concat)
X(split)
X(squeeze)
X(unsqueeze)
X(flatten)
X(identity)
X(flip)
X(roll)
X(tile)
X(pad)
X(pad_grad)
X(trilu)
X(depth_to_space)
X(space_to_depth)
X(im2col)
X(col2im)
X(gather)
X(gather_nd)
X(gather_elements)
X(gather_grad)
X(gather_nd_grad)
X(gather_elements_grad)
X(scatter_elements)
X(scatter_nd)
X(one_hot)

// ---- fill
X(fill)
X(random_uniform)
X(random_normal)

// ---- loss
X(cross_entropy)
X(cross_entropy_grad)
X(count_correct)
X(mse)

// ---- optimizer
X(sgd)
X(momentum)
X(nesterov)
X(adagrad)
X(rmsprop)
X(rmsprop_momentum)
X(rmsprop_centered)
X(adam)
X(adamw)
X(amsgrad)
X(adamax)
X(nadam)
X(lion)
X(lamb)
X(clip_norm)
X(unscale)
X(loss_scale)

// ---- norm
X(batch_norm)
X(batch_norm_train)
X(batch_norm_grad)
X(layer_norm)
X(rms_norm)
X(group_norm)
X(instance_norm)
X(norm_grad)
X(norm_param_grad)

// ---- sequence

// ---- quant
X(quantize_linear)
X(dequantize_linear)
X(dynamic_quantize_linear)
X(matmul_integer)
X(qlinear_matmul)
X(quantize_fixed)
X(dequantize_fixed)
X(quantize_stochastic)

// ---- block
X(dequantize_blocks)
X(quantize_blocks)
X(block_matmul)
