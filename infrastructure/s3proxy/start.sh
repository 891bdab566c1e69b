# S3Proxy reads who may use it from a file alone: written here, into the container's own memory.
set -eu
umask 077
cat >/tmp/s3proxy.properties <<END
s3proxy.endpoint=http://0.0.0.0:9000
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity=$S3_IDENTITY
s3proxy.credential=$S3_CREDENTIAL
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=/data
END
exec java -Xmx256m -Dlogback.configurationFile=/opt/s3proxy/logback.xml -cp '/opt/s3proxy/*' \
    org.gaul.s3proxy.Main --properties /tmp/s3proxy.properties
