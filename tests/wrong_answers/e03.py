"""Plausible, wrong answers to the exercises of 03_training, and words of the message each must get."""

WRONG = {
    "check_saves_best": [
        ("compares with the epoch before", "better than all before", '''
def saves_best(val_losses):
    return [e + 1 for e in range(len(val_losses)) if e == 0 or val_losses[e] < val_losses[e - 1]]
'''),
        ("counts from 0", "count from 1", '''
def saves_best(val_losses):
    best, epochs = math.inf, []
    for epoch, loss in enumerate(val_losses):
        if loss < best:
            best = loss
            epochs.append(epoch)
    return epochs
'''),
        ("saves ties", "a tie is not better", '''
def saves_best(val_losses):
    best, epochs = math.inf, []
    for epoch, loss in enumerate(val_losses, start=1):
        if loss <= best:
            best = loss
            epochs.append(epoch)
    return epochs
'''),
        ("starts from the first loss, which may be NaN", "NaN is never the best", '''
def saves_best(val_losses):
    epochs, best = [], None
    for epoch, loss in enumerate(val_losses, start=1):
        if best is None or loss < best:
            best = loss
            epochs.append(epoch)
    return epochs
'''),
    ],
    "check_warmup": [
        ("no waiting", "first `hold` steps", '''
def warmup(step, hold, ramp, beta):
    return beta * min(1.0, step / max(1, ramp))
'''),
        ("ramp counted from step 0", "it begins at `hold`", '''
def warmup(step, hold, ramp, beta):
    return 0.0 if step < hold else beta * min(1.0, step / (hold + ramp))
'''),
        ("never stops rising", "must stay at 4", '''
def warmup(step, hold, ramp, beta):
    return 0.0 if step < hold else beta * (step - hold) / ramp
'''),
        ("divides by zero", "divides by zero", '''
def warmup(step, hold, ramp, beta):
    return 0.0 if step < hold else beta * min(1.0, (step - hold) / ramp)
'''),
    ],
    "check_validate": [
        ("the code as it circulates", "left in train mode", '''
def validate(model, images, batch_size):
    total = 0.0
    batches = images.split(batch_size)
    for x in batches:
        recon, mu, logvar = model(x)
        loss = F.mse_loss(recon, x, reduction="sum") / len(x)
        total = total + loss
    return total / len(batches)
'''),
        ("keeps the graph", "carries a graph", '''
def validate(model, images, batch_size):
    model.eval()
    total = sum(F.mse_loss(model(x)[0], x, reduction="sum") for x in images.split(batch_size))
    model.train()
    return total / len(images)
'''),
        ("mean of means", "mean of the batches' means", '''
def validate(model, images, batch_size):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        parts = [float(F.mse_loss(model(x)[0], x, reduction="sum") / len(x)) for x in images.split(batch_size)]
    model.train(was_training)
    return sum(parts) / len(parts)
'''),
        ("averages over pixels", "sum over pixels", '''
def validate(model, images, batch_size):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        total = sum(float(F.mse_loss(model(x)[0], x)) * len(x) for x in images.split(batch_size))
    model.train(was_training)
    return total / len(images)
'''),
        ("leaves the model in eval mode", "left in eval mode", '''
def validate(model, images, batch_size):
    model.eval()
    with torch.no_grad():
        return sum(float(F.mse_loss(model(x)[0], x, reduction="sum")) for x in images.split(batch_size)) / len(images)
'''),
        ("always ends in train mode", "left in train mode", '''
def validate(model, images, batch_size):
    model.eval()
    with torch.no_grad():
        total = sum(float(F.mse_loss(model(x)[0], x, reduction="sum")) for x in images.split(batch_size))
    model.train()
    return total / len(images)
'''),
    ],
    "check_train_epoch": [
        ("left in eval mode", "call model.train()", '''
def train_epoch(model, batches, optimizer, loss_of):
    total = 0.0
    for x in batches:
        loss = loss_of(model, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(batches)
'''),
        ("zero_grad forgotten", "zero_grad", '''
def train_epoch(model, batches, optimizer, loss_of):
    model.train()
    total = 0.0
    for x in batches:
        loss = loss_of(model, x)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(batches)
'''),
        ("gradients cleared before the step", "the weights are off", '''
def train_epoch(model, batches, optimizer, loss_of):
    model.train()
    total = 0.0
    for x in batches:
        loss = loss_of(model, x)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        total += loss.item()
    return total / len(batches)
'''),
        ("returns tensors with their graphs", "return a float", '''
def train_epoch(model, batches, optimizer, loss_of):
    model.train()
    losses = []
    for x in batches:
        loss = loss_of(model, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return sum(losses) / len(losses)
'''),
        ("returns the last loss", "mean of the batches' losses", '''
def train_epoch(model, batches, optimizer, loss_of):
    model.train()
    for x in batches:
        loss = loss_of(model, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()
'''),
    ],
}
