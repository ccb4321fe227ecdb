#!/bin/busybox sh
# The first program of a virtual machine (machine.py): the host's files, a layer to write into, then the command.
/bin/busybox mkdir -p /proc /sys /dev /host /layer /root /sbin
/bin/busybox --install -s /bin
ln -s /bin/modprobe /sbin/modprobe # where the kernel looks for it
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/$module" || echo "cannot load $module"; done </modules
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 root /host
mount -t tmpfs -o size=80% layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root
mkdir -p /lib
ln -s "/host$(cat /kernel)/lib/modules" /lib/modules
for folder in proc sys dev; do mount -o bind /$folder /root/$folder; done
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts pts /root/dev/pts
for folder in run dev/shm; do mount -t tmpfs tmpfs /root/$folder; done
ip link set lo up
chroot /root /bin/sh -c "$(cat /command)" </dev/null
echo "command ended with $?"
poweroff -f
